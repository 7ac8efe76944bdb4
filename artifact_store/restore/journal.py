"""What a restore has finished, kept next to its plan as append-only JSON lines.

Owns the file's format. A line that was cut off by a crash is ignored: its key is simply done again.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType


class Journal:
    """The journal of one plan, known by the plan's digest. Use as a context manager."""

    def __init__(self, path: Path, digest: str) -> None:
        self.path, self.digest = path, digest

    @staticmethod
    def beside(plan: Path) -> Path:
        """Where the journal of a plan lies: PLAN.journal."""
        return plan.with_name(plan.name + ".journal")

    def __enter__(self) -> Journal:
        raise NotImplementedError

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError

    def done(self, key: str) -> bool:
        """Whether the key was finished before."""
        raise NotImplementedError

    def record(self, key: str, version_id: str = "") -> None:
        """Note a finished key and the id of what was written."""
        raise NotImplementedError
