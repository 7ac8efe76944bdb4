"""The index of a TensorFlow checkpoint, written as BundleWriter does, without TensorFlow."""

from __future__ import annotations

from artifact_store.formats.tensor_bundle import MAGIC

FLOAT = 1


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def entry_proto(shard: int, offset: int, size: int) -> bytes:
    shape = b"\x12\x04\x12\x02\x08\x04"
    numbers = b"".join(tag + varint(n) for tag, n in ((b"\x18", shard), (b"\x20", offset), (b"\x28", size)) if n)
    return b"\x08" + varint(FLOAT) + shape + numbers + b"\x35abcd"


def block(entries: list[tuple[bytes, bytes]]) -> bytes:
    """Keys share what they have in common with the one before."""
    out, last = b"", b""
    for key, value in entries:
        shared = next((n for n, (a, b) in enumerate(zip(last, key, strict=False)) if a != b), min(len(last), len(key)))
        out += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    return out + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")


def table(blocks: list[bytes], packed: bytes = b"\0") -> bytes:
    out, handles = b"", []
    for content in blocks:
        handles.append((b"k%03d" % len(handles), varint(len(out)) + varint(len(content))))
        out += content + packed + b"crc!"
    places = []
    for content in (block([]), block(handles)):
        places.append(varint(len(out)) + varint(len(content)))
        out += content + b"\0crc!"
    return out + b"".join(places).ljust(40, b"\0") + MAGIC


def index(tensors: list[tuple[str, int, int, int]], shards: int = 1, per_block: int = 3) -> bytes:
    """tensors: name, number of the data file, offset and size in bytes."""
    entries = [(b"", b"\x08" + varint(shards) + b"\x1a\x02\x08\x01")]
    entries += [(name.encode(), entry_proto(shard, offset, size)) for name, shard, offset, size in sorted(tensors)]
    return table([block(entries[n : n + per_block]) for n in range(0, len(entries), per_block)])
