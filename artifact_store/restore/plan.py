"""What has to be done to a key so that it is again what it was: decided, not done.

Owns the choice of action and its reason, as pure functions of a key's state. Refuses to judge content by size or time:
the same content is the same version, or the same ETag and size, or the same checksum (found by whoever can ask).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from artifact_store.history.state import Flag, KeyState
from artifact_store.s3.operations import Entry


class Action(StrEnum):
    """What is done to a key."""

    KEEP = "keep"
    """Nothing: it is what it was, or the options leave it alone."""
    COPY = "copy"
    """The version that stood at T is copied over the key (or to the destination)."""
    DELETE = "delete"
    """A delete marker hides what was not there at T."""
    UNDELETE = "undelete"
    """The markers above the version are removed for good; only where asked."""
    THAW = "thaw"
    """The version lies in an archive class: S3 must restore it before it can be copied."""


class Reason(StrEnum):
    """Why, as a word that stays stable."""

    SAME_VERSION = "same-version"
    SAME_ETAG = "same-etag"
    SAME_CHECKSUM = "same-checksum"
    SAME_BYTES = "same-bytes"
    CHANGED = "changed"
    DELETED = "deleted"
    NEW = "new"
    MISSING = "missing"
    """The destination does not have it."""
    KEPT_NEW = "kept-new"
    """Came after T and the options keep it."""
    ARCHIVED = "archived"


@dataclass(frozen=True, slots=True)
class Current:
    """What stands at the place to be written, as the plan saw it."""

    version_id: str = ""
    etag: str = ""
    size: int = 0
    is_marker: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """What to do to one key.

    version_id, etag, size, last_modified, storage_class: of the version that stood at T ("" and 0 where there was
    none). current: what stands now at the place to be written, None where nothing ever did. target: key or path
    relative to the destination's root when writing elsewhere, "" in place. markers: ids to remove, newest first (undelete).
    """

    action: Action
    key: str
    reason: Reason
    version_id: str = ""
    etag: str = ""
    size: int = 0
    last_modified: float = 0.0
    storage_class: str = "STANDARD"
    current: Current | None = None
    target: str = ""
    markers: tuple[str, ...] = ()
    flags: tuple[Flag, ...] = ()


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """What a restore may do and to which keys.

    keep_new: leave keys that did not exist at T. undelete: remove markers where only markers came after T, instead of
    copying. settled: take the version before where the one at T may have been still uploading. include, exclude: globs
    on the key relative to the prefix; a key is in when some include (or none is given) and no exclude matches.
    overwrite: elsewhere, write over what differs. allow_empty: in place, go on though nothing existed at T.
    """

    keep_new: bool = False
    undelete: bool = False
    settled: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    overwrite: bool = False
    allow_empty: bool = False


DEFAULTS = PlanOptions()


@dataclass(slots=True)
class Summary:
    """What a plan comes to. Bytes of `copied` are read and written; `added` is what the bucket's storage grows by.

    hidden: keys whose present content will no longer be current (its version stays), with their bytes.
    flagged: keys per flag; samples: the first few keys of each.
    """

    counts: dict[Action, int] = field(default_factory=lambda: dict.fromkeys(Action, 0))
    copied_bytes: int = 0
    added_bytes: int = 0
    hidden: int = 0
    hidden_bytes: int = 0
    thaw_bytes: int = 0
    requests: int = 0
    flagged: dict[Flag, int] = field(default_factory=dict)
    samples: dict[Flag, list[str]] = field(default_factory=dict)

    @property
    def changes(self) -> int:
        """Keys that the plan writes."""
        return self.counts[Action.COPY] + self.counts[Action.DELETE] + self.counts[Action.UNDELETE]

    def add(self, step: Step) -> None:
        """Count one step in."""
        raise NotImplementedError

    def as_json(self) -> dict[str, object]:
        """The form in a plan's header."""
        raise NotImplementedError

    @classmethod
    def from_json(cls, data: Mapping[str, object]) -> Summary:
        """The inverse of `as_json`."""
        raise NotImplementedError


def decide(state: KeyState, options: PlanOptions) -> Step | None:
    """The step for a key restored in place; None where it was absent then and is absent now."""
    raise NotImplementedError


def decide_elsewhere(state: KeyState, target: str, there: Entry | None) -> Step | None:
    """The step for a key written to another bucket, where `there` stands now; None where it was absent at T."""
    raise NotImplementedError
