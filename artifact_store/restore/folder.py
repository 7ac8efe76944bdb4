"""Restoring into a folder: names a file system can hold, files that appear whole, nothing outside the folder.

Owns the mapping of keys to paths and the writing of files. Refuses, before anything is written, names that would leave
the folder, that the file system cannot hold, or that would fall on each other; never writes through a symbolic link.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
import unicodedata
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from artifact_store.errors import S3Error
from artifact_store.history.sameness import is_whole, proves
from artifact_store.restore.compare import CHUNK, Sameness
from artifact_store.restore.copying import own_ranges
from artifact_store.restore.plan import Current, Reason, Step
from artifact_store.restore.writes import HOPELESS, Kind, Outcome
from artifact_store.s3.operations import GetObject, HeadObject, Job, ObjectBody, ObjectHead

READ_CHUNK = 1024**2
"""Bytes of a file read at a time."""

CHUNKS_AT_ONCE = 4
"""GETs of one file under way together, so that one large file uses the line and memory stays bounded."""

SUMS = frozenset({"CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"})
"""Checksums that can be computed here."""

LONGEST_NAME = 255
"""Bytes in one part of a path: ext4, XFS, APFS and NTFS all stop there."""

LONGEST_PATH = 4096
"""Bytes in a path, as Linux has it (PATH_MAX)."""

NO_DISK = frozenset({errno.ENOSPC, errno.EROFS, errno.EDQUOT})
"""Errors that the next file would meet as well."""

CONFLICT = "changed since the plan was made; left as it is"

WINDOWS_DEVICES = re.compile(r"(?i:con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?")


def name_fault(target: str, root: Path) -> str:
    """Why a key relative to the folder cannot be a file in it, "" where it can. Pure."""
    if not target:
        return "has an empty name"
    if "\0" in target or "\\" in target:
        return "holds a NUL or a backslash"
    if re.match(r"[A-Za-z]:", target):
        return "starts like a Windows drive"
    parts = target.removesuffix("/").split("/")
    if "" in parts:
        return "has an empty part (//, or a leading /)"
    if "." in parts or ".." in parts:
        return "has a part . or .., which could leave the folder"
    try:
        lengths = [len(part.encode()) for part in parts]
    except UnicodeEncodeError:
        return "is not UTF-8"
    if max(lengths) > LONGEST_NAME:
        return f"has a part of {max(lengths)} bytes; a file name holds {LONGEST_NAME}"
    length = len(os.fsencode(root)) + 1 + len(target.encode())
    if length >= LONGEST_PATH:
        return f"makes a path of {length} bytes; it must stay under {LONGEST_PATH}"
    if os.name == "nt" and any(WINDOWS_DEVICES.fullmatch(part) or part[-1] in ". " for part in parts):
        return "has a part that Windows reserves"
    return ""


@dataclass(slots=True)
class Names:
    """The names of one restore, to find those that cannot stand beside each other.

    Names come in byte order, so a file system that tells cases apart needs no memory of more than the files whose names
    the present one begins with. One that folds cases needs to know them all. open: such files, the shortest first.
    alone: names out of order, of which there are few.
    """

    root: Path
    folds_case: bool
    open: list[str] = field(default_factory=list)
    alone: set[str] = field(default_factory=set)
    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)

    def add(self, target: str, *, in_order: bool = True) -> str:
        """Take a name in. Returns why it cannot be, "" where it can."""
        fault = name_fault(target, self.root)
        if fault:
            return fault
        name = self._fold(target.removesuffix("/"))
        parents = _parents(name)
        is_folder = target.endswith("/")
        while in_order and self.open and not name.startswith(self.open[-1]):
            self.open.pop()
        clash = self._clash(name, parents, is_folder=is_folder)
        if clash:
            return clash
        if not in_order:
            self.alone.add(name)
        elif self.folds_case:
            self.folders.update([*parents, name] if is_folder else parents)
            if not is_folder:
                self.files.add(name)
        elif not is_folder:
            self.open.append(name)
        return self._blocked(target)

    def _clash(self, name: str, parents: list[str], *, is_folder: bool) -> str:
        files = (self.files, self.alone, self.open)
        if any(parent in found for parent in parents for found in files):
            return "lies below a name that is a file too"
        taken = any(name in found for found in files)
        if (is_folder and taken) or (not is_folder and name in self.folders):
            return "is a file and a folder"
        if taken:
            return "differs from another name only by case or by Unicode form" if self.folds_case else "is there twice"
        return ""

    def _fold(self, target: str) -> str:
        return unicodedata.normalize("NFC", target).casefold() if self.folds_case else target

    def _blocked(self, target: str) -> str:
        """What is in the folder already and cannot be replaced by a file."""
        path, wants_folder = self.root, target.endswith("/")
        parts = target.removesuffix("/").split("/")
        for index, part in enumerate(parts, 1):
            path /= part
            try:
                found = path.lstat()
            except FileNotFoundError:
                return ""
            if stat.S_ISLNK(found.st_mode):
                return f"would be written through the symbolic link {path}"
            if index < len(parts) and not stat.S_ISDIR(found.st_mode):
                return f"needs a folder where the file {path} is"
            if index == len(parts) and stat.S_ISDIR(found.st_mode) != wants_folder:
                return f"needs a {'folder' if wants_folder else 'file'} where {path} is something else"
        return ""


def _parents(name: str) -> list[str]:
    """The folders a name lies in, the outermost first."""
    return [name[:index] for index, char in enumerate(name) if char == "/"]


def folds_case(folder: Path) -> bool:
    """Whether the file system takes two cases of a name for the same, told from a name that exists."""
    for path in (folder, *folder.parents):
        swapped = path.with_name(path.name.swapcase()) if path.name else path
        if swapped.name != path.name and path.exists():
            return swapped.exists() and swapped.samefile(path)
    return False


def standing(path: Path) -> Current | None:
    """What is at a path now, None where nothing is. The id tells one state of a file from another."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return Current(version_id=f"{found.st_ino}-{found.st_mtime_ns}", size=found.st_size)


def same_file(bucket: str, step: Step, path: Path) -> Job[Sameness]:
    """Whether a file holds the content of the step's version, without reading that. Raises S3Error, OSError.

    The file's ETag is computed as S3 does, and where that proves nothing, the checksum that S3 has stored.
    """
    if path.stat().st_size != step.size:
        return Sameness(None, known=True)
    if step.size == 0:
        return Sameness(Reason.SAME_BYTES, known=True)
    multipart = "-" in step.etag
    ranges = (yield from own_ranges(bucket, step)) if multipart else [(0, step.size - 1)]
    if ranges and file_etag(path, [last - first + 1 for first, last in ranges], multipart=multipart) == step.etag:
        return Sameness(Reason.SAME_ETAG, known=True)
    head: ObjectHead = yield HeadObject(bucket, step.key, step.version_id, checksum=True)
    for algorithm in sorted(head.checksums):
        if algorithm in SUMS and is_whole(head.checksums, algorithm, head.checksum_type):
            same = file_checksum(path, algorithm) == head.checksums[algorithm]
            if not same or proves(algorithm, step.key):
                return Sameness(Reason.SAME_CHECKSUM if same else None, known=True)
    encrypted = head.encryption.startswith("aws:kms")
    return Sameness(None, known=bool(ranges) and not encrypted, encrypted=encrypted)


def same_bytes(bucket: str, step: Step, path: Path) -> Job[bool]:
    """Whether a file holds the content of the step's version, by reading both. Raises S3Error, OSError."""
    if path.stat().st_size != step.size:
        return False
    with path.open("rb") as file:
        for first in range(0, step.size, CHUNK):
            last = min(first + CHUNK, step.size) - 1
            body: ObjectBody = yield GetObject(bucket, step.key, step.version_id, first, last, step.etag)
            if file.read(last - first + 1) != body.data:
                return False
    return True


def file_etag(path: Path, part_sizes: Sequence[int], *, multipart: bool) -> str:
    """The ETag S3 gives these bytes: their MD5, or that of their parts' MD5s (S3 API reference, "Object")."""
    digests = []
    with path.open("rb") as file:
        for size in part_sizes:
            digest = hashlib.md5(usedforsecurity=False)
            for data in _chunks(file, size):
                digest.update(data)
            digests.append(digest.digest())
    if not multipart:
        return digests[0].hex() if len(digests) == 1 else ""
    whole = hashlib.md5(b"".join(digests), usedforsecurity=False).hexdigest()
    return f"{whole}-{len(digests)}"


def file_checksum(path: Path, algorithm: str) -> str:
    """The checksum S3 stores for these bytes, base64. algorithm: one of SUMS."""
    with path.open("rb") as file:
        data = _chunks(file, path.stat().st_size)
        if algorithm.startswith("CRC"):
            width = 8 if algorithm == "CRC64NVME" else 4
            return b64encode(_crc(algorithm, data).to_bytes(width, "big")).decode()
        digest = hashlib.new(algorithm, usedforsecurity=False)
        for chunk in data:
            digest.update(chunk)
    return b64encode(digest.digest()).decode()


def _crc(algorithm: str, data: Iterator[bytes]) -> int:
    from awscrt import checksums

    step: Callable[[bytes, int], int] = getattr(checksums, algorithm.lower())
    value = 0
    for chunk in data:
        value = step(chunk, value)
    return value


def _chunks(file: BinaryIO, size: int) -> Iterator[bytes]:
    while size and (data := file.read(min(size, READ_CHUNK))):
        size -= len(data)
        yield data


def fetch(bucket: str, number: int, step: Step, root: Path) -> Job[Outcome]:
    """Write one version as a file: whole, or not at all, and only if the place is what the plan saw.

    Raises OSError where the disk takes no file any more, S3Error where S3 answers nobody.
    """
    path = root / step.target
    fault = name_fault(step.target, root)
    if fault:
        return Outcome(Kind.FAILED, number, step, f"its file name {step.target!r} {fault}")
    try:
        if _through_link(root, path):
            return Outcome(Kind.FAILED, number, step, "a part of its path is a symbolic link")
        if step.target.endswith("/"):
            path.mkdir(parents=True, exist_ok=True)
            return Outcome(Kind.WRITTEN, number, step)
        if standing(path) != step.current:
            return (yield from _ours_or_conflict(bucket, number, step, path))
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f".artifact-store-{secrets.token_hex(8)}"
        try:
            yield from _download(bucket, step, temporary)
            os.utime(temporary, (step.last_modified, step.last_modified))
            if not _place(temporary, path, step):
                return Outcome(Kind.CONFLICT, number, step, CONFLICT)
        finally:
            temporary.unlink(missing_ok=True)
    except S3Error as error:
        if error.code in HOPELESS:
            raise
        return Outcome(Kind.FAILED, number, step, str(error))
    except OSError as error:
        if error.errno in NO_DISK:
            raise OSError(error.errno, error.strerror, str(path)) from error
        return Outcome(Kind.FAILED, number, step, f"{error.strerror}: {error.filename or path}")
    return Outcome(Kind.WRITTEN, number, step, version_id=_identity(path))


def _download(bucket: str, step: Step, path: Path) -> Job[None]:
    with path.open("xb") as file:
        for ranges in _windows(step.size):
            bodies: list[ObjectBody] = yield [
                GetObject(bucket, step.key, step.version_id, first, last, step.etag) for first, last in ranges
            ]
            for (first, last), body in zip(ranges, bodies, strict=True):
                if len(body.data) != last - first + 1:
                    raise S3Error(f"bytes {first}-{last} came as {len(body.data)} bytes", code="Truncated")
                file.write(body.data)


def _ours_or_conflict(bucket: str, number: int, step: Step, path: Path) -> Job[Outcome]:
    if path.is_file():
        sameness = yield from same_file(bucket, step, path)
        if sameness.same is not None or (not sameness.known and (yield from same_bytes(bucket, step, path))):
            return Outcome(Kind.ALREADY, number, step, version_id=_identity(path))
    return Outcome(Kind.CONFLICT, number, step, CONFLICT)


def _identity(path: Path) -> str:
    stands = standing(path)
    return stands.version_id if stands is not None else ""


def held_by(step: Step) -> int:
    """Bytes that fetching a file holds in memory at most."""
    return min(step.size, CHUNK * CHUNKS_AT_ONCE)


def _windows(size: int) -> Iterator[list[tuple[int, int]]]:
    ranges = [(first, min(first + CHUNK, size) - 1) for first in range(0, size, CHUNK)]
    for start in range(0, len(ranges), CHUNKS_AT_ONCE):
        yield ranges[start : start + CHUNKS_AT_ONCE]


def _place(temporary: Path, path: Path, step: Step) -> bool:
    """Give the finished file its name. False where something else came to stand there since the plan."""
    if standing(path) != step.current:
        return False
    if step.current is None:
        try:
            # A link, unlike a rename, never replaces what came into being this very moment.
            path.hardlink_to(temporary)
        except FileExistsError:
            return False
        except OSError:
            # A file system without hard links.
            temporary.replace(path)
        return True
    temporary.replace(path)
    return True


def _through_link(root: Path, path: Path) -> bool:
    return any(part.is_symlink() for part in (path, *path.parents) if part != root and root in part.parents)
