"""What a restore has finished, kept next to its plan as append-only JSON lines.

Owns the file's format: a first line with the plan's digest, then one line a finished step with its number in the plan,
and two lines a multipart upload: one when it began, one when it was completed or given up.
A line that was cut off by a crash is ignored: its key is simply looked at again. Refuses the journal of another plan.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

from artifact_store.errors import Refused, UsageError
from artifact_store.s3.operations import AbortMultipartUpload


def written_ids(path: Path, digest: str, numbers: Collection[int]) -> dict[int, str]:
    """The ids of what was written for the steps with these numbers, as far as the plan's journal tells them; of a key
    written by several runs, the last one. Raises OSError where the file is there and cannot be read."""
    found: dict[int, str] = {}
    if not numbers or not path.exists():
        return found
    with path.open("rb") as lines:
        for index, line in enumerate(lines):
            try:
                entry = json.loads(line)
                if index == 0:
                    if entry["plan"] != digest:
                        return {}
                elif entry.get("step") in numbers:
                    found[entry["step"]] = str(entry["version_id"])
            except (ValueError, KeyError, TypeError):
                # Cut off by a crash, or no journal's line: then it proves nothing.
                continue
    return found


@dataclass(frozen=True, slots=True)
class Noted:
    """done: how many steps are finished. uploads: how many multipart uploads were neither completed nor given up."""

    done: int
    uploads: int


def noted(path: Path, digest: str) -> Noted | None:
    """What the plan's journal tells; None where the file is none, or that of another plan. Changes nothing, so that it
    may be asked while the plan is carried out. Raises OSError where the file is there and cannot be read."""
    done: set[int] = set()
    uploads: set[str] = set()
    if not path.is_file():
        return None
    with path.open("rb") as lines:
        try:
            if json.loads(next(lines, b""))["plan"] != digest:
                return None
        except (ValueError, KeyError, TypeError):
            return None
        for line in lines:
            try:
                entry = json.loads(line)
                if "upload" in entry:
                    (uploads.discard if "ended" in entry else uploads.add)(entry["upload"])
                else:
                    done.add(int(entry["step"]))
            except (ValueError, KeyError, TypeError):
                # Cut off by a crash.
                continue
    return Noted(len(done), len(uploads))


class Journal:
    """The journal of one plan, known by the plan's digest. Use as a context manager; path None keeps nothing on disk.

    Raises Refused where the file belongs to another plan, UsageError where it cannot be written.
    """

    def __init__(self, path: Path | None, digest: str) -> None:
        self._path = path
        self._digest = digest
        self._file: BinaryIO | None = None
        self._finished = bytearray()
        self.uploads: dict[str, AbortMultipartUpload] = {}
        """Multipart uploads that former runs began and neither completed nor gave up, by their id."""

    @staticmethod
    def beside(plan: Path) -> Path:
        """Where the journal of a plan usually lies: PLAN.journal. Raises UsageError where the path names no file."""
        if not plan.name:
            raise UsageError(f"{str(plan)!r} names no file; write the name of a plan file")
        return plan.with_name(f"{plan.name}.journal")

    def __enter__(self) -> Journal:
        if self._path is not None:
            try:
                self._load(self._path)
            except OSError as error:
                self._close()
                raise UsageError(
                    f"cannot write journal {self._path}: {error.strerror}; copy the plan to a folder you can write, "
                    "and apply it there"
                ) from error
            except Refused:
                self._close()
                raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    def done(self, number: int) -> bool:
        """Whether the step with this number, counted from 0, was finished before."""
        return number < len(self._finished) and self._finished[number] == 1

    def record(self, number: int, key: str, version_id: str = "") -> None:
        """Note a finished step, its key and the id of what was written. Raises OSError."""
        self._mark(number)
        self._write({"step": number, "key": key, "version_id": version_id})

    def upload_began(self, abort: AbortMultipartUpload) -> None:
        """Note a multipart upload, so that a later run can give it up. Raises OSError."""
        self._write({"upload": abort.upload_id, "bucket": abort.bucket, "key": abort.key})

    def upload_ended(self, upload_id: str) -> None:
        """Note that it is completed or gone. Raises OSError."""
        self._write({"upload": upload_id, "ended": True})

    def _write(self, entry: dict[str, object]) -> None:
        if self._file is None:
            return
        try:
            self._file.write(json.dumps(entry).encode() + b"\n")
        except OSError as error:
            # The system does not say which file it was.
            raise OSError(error.errno, error.strerror, str(self._path)) from error

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def _load(self, path: Path) -> None:
        # Unbuffered: a finished key is on its way to disk before the next one starts, however the process ends.
        self._file = path.open("ab+", buffering=0)
        self._file.seek(0)
        whole = 0
        with path.open("rb") as lines:
            for index, line in enumerate(lines):
                if not line.endswith(b"\n"):
                    break
                whole += len(line)
                try:
                    entry = json.loads(line)
                    if index == 0:
                        self._check(entry["plan"], path)
                    elif "upload" in entry:
                        self._note_upload(entry)
                    else:
                        self._mark(int(entry["step"]))
                except (ValueError, KeyError, TypeError) as error:
                    raise Refused(f"{path} line {index + 1} is no journal's line; move the file away") from error
        self._file.truncate(whole)
        if whole == 0:
            self._write({"plan": self._digest})

    def _note_upload(self, entry: dict[str, Any]) -> None:
        if "ended" in entry:
            self.uploads.pop(entry["upload"], None)
        else:
            self.uploads[entry["upload"]] = AbortMultipartUpload(entry["bucket"], entry["key"], entry["upload"])

    def _check(self, digest: str, path: Path) -> None:
        if digest != self._digest:
            raise Refused(f"journal {path} belongs to another plan; move it away, or apply the plan it belongs to")

    def _mark(self, number: int) -> None:
        if number >= len(self._finished):
            self._finished.extend(bytes(number + 1 - len(self._finished)))
        self._finished[number] = 1
