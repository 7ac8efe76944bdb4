"""A protobuf file passes where its fields end with it: SavedModels and SentencePiece tokenizers."""

import struct

import pytest

from artifact_store.formats.sentencepiece import MAX_MODEL
from tests.formats.asking import ask, look, problem
from tests.formats.bundles import varint

GRAPH = "export/saved_model.pb"
TOKENIZER = "m/tokenizer.model"


def message(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def piece(text: str, score: float, kind: int) -> bytes:
    """As SentencePiece writes one: field 1 of the model."""
    return message(1, message(1, text.encode()) + b"\x15" + struct.pack("<f", score) + b"\x18" + varint(kind))


SAVED = b"\x08\x01" + message(2, b"\x0a\x02ab" + message(2, bytes(500)))
PIECES = b"".join(piece(text, -n, 1 + (n < 3)) for n, text in enumerate(["<unk>", "<s>", "</s>", "▁a", "b"]))
MODEL = PIECES + message(2, b"\x0a\x03a.b") + message(3, message(2, bytes(300)))


def test_a_saved_model_passes_whole_and_not_a_byte_shorter() -> None:
    found = look(GRAPH, SAVED)
    assert (found.format, found.problem, found.proved) == ("savedmodel", "", True)
    for size in range(len(SAVED)):
        assert problem(GRAPH, SAVED[:size]) != ""


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty (0 bytes): its upload failed, or nothing was ever written"),
        (SAVED[:2], "has no meta_graphs, which every SavedModel has: it was cut between two fields"),
        (SAVED[2:], "has no saved_model_schema_version, which every SavedModel has"),
        (SAVED[:-1], "has a protobuf field 2 that ends 1 bytes behind its message: it was cut"),
        (bytes(len(SAVED)), "has no protobuf field where one should begin"),
        (b"\x0b" * 50, "has a protobuf field 1 of wire type 3: it was overwritten, or is another file"),
        (b"\x08" + b"\xff" * 20, "has a protobuf number that does not end"),
    ],
)
def test_what_is_no_saved_model_is_refused_with_its_reason(data: bytes, said: str) -> None:
    assert said in problem(GRAPH, data)


def test_a_large_graph_costs_its_first_and_its_last_bytes() -> None:
    graph = b"\x08\x01" + varint(2 << 3 | 2) + varint(10**9)
    asked = ask(GRAPH, graph, len(graph) + 10**9)
    assert (asked.finding.problem, asked.finding.proved) == ("", True)
    assert [(part.first, part.last) for part in asked.ranges] == [(0, 65_535)]
    assert "it was cut" in ask(GRAPH, graph, len(graph) + 10**9 - 1).finding.problem


def test_a_tokenizer_passes_whole_and_cut_between_two_fields_alone() -> None:
    found = look(TOKENIZER, MODEL)
    assert (found.format, found.problem, found.proved) == ("sentencepiece", "", True)
    ends = {len(PIECES) - len(PIECES[at:]) for at in range(1, len(PIECES)) if PIECES[at:].startswith(b"\x0a") and at}
    passing = {size for size in range(1, len(MODEL)) if not problem(TOKENIZER, MODEL[:size])}
    fields = {len(PIECES), len(PIECES) + len(message(2, b"\x0a\x03a.b"))}
    assert passing - fields < ends
    assert fields <= passing


def test_a_tiktoken_vocabulary_of_the_same_name_is_left_unproved() -> None:
    found = look(TOKENIZER, b"IQ== 0\nIg== 1\n" * 9)
    assert (found.format, found.problem, found.proved) == ("", "", False)


@pytest.mark.parametrize("data", [bytes(300), b"\xff\xfe" * 90, b"hello world\n" * 9])
def test_what_is_neither_is_refused(data: bytes) -> None:
    assert "neither a piece of SentencePiece nor a line of tiktoken: it was overwritten or cut" in problem(
        TOKENIZER, data
    )


def test_a_tokenizer_too_large_to_walk_is_left_unproved() -> None:
    asked = ask(TOKENIZER, MODEL, MAX_MODEL + 1)
    assert (asked.finding.problem, asked.finding.proved) == ("", False)
    assert asked.total == 1024


def test_a_vocabulary_of_the_largest_size_is_read_in_one_request() -> None:
    data = b"".join(piece(f"▁{number}", -number, 1) for number in range(100_000))
    asked = ask(TOKENIZER, data)
    assert (asked.finding.problem, asked.finding.proved) == ("", True)
    assert len(asked.ranges) == 1
