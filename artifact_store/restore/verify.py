"""Proof that a bucket or folder is what a plan says: a fresh look, key by key.

Owns the comparison; changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from artifact_store.restore.planfile import Plan
from artifact_store.restore.server import Server


@dataclass(frozen=True, slots=True)
class Verification:
    """checked: keys looked at. compared: keys proved by checksum or bytes. wrong: (key, what differs)."""

    checked: int
    compared: int
    wrong: tuple[tuple[str, str], ...]

    @property
    def proved(self) -> bool:
        """Nothing differs."""
        return not self.wrong


def verify(
    s3: Server, plan: Plan, *, deep: bool = False, on_progress: Callable[[int], None] | None = None
) -> Verification:
    """Compare the place a plan wrote to with the plan. deep: compare checksums, by reading where a server has none."""
    raise NotImplementedError
