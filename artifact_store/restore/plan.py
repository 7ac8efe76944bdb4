"""What has to be done to a key so that it is again what it was: decided, not done.

Owns the choice of action and its reason, as pure functions of a key's state. Refuses to judge content by size or time:
the same content is the same version, or the same ETag and size, or the same checksum (found by whoever can ask).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import translate
from math import ceil
from typing import Any, NamedTuple

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
    """Read and compared, or both empty."""
    CHANGED = "changed"
    DELETED = "deleted"
    NEW = "new"
    MISSING = "missing"
    """The destination does not have it."""
    KEPT_NEW = "kept-new"
    """Came after T and the options keep it."""
    ARCHIVED = "archived"


SAME_CONTENT = frozenset({Reason.SAME_ETAG, Reason.SAME_CHECKSUM, Reason.SAME_BYTES})
"""Reasons to keep what is another version than the one at T."""


class Current(NamedTuple):
    """What stands at the place to be written, as the plan saw it. A tuple, as Step is."""

    version_id: str = ""
    etag: str = ""
    size: int = 0
    is_marker: bool = False


class Step(NamedTuple):
    """What to do to one key. A tuple, since millions are made.

    version_id, etag, size, last_modified, storage_class: of the version that stood at T ("" and 0 where there was
    none). current: what stands now at the place to be written, None where nothing ever did. target: key or path
    relative to the destination's root when writing elsewhere, "" in place. markers: ids to remove, newest first.
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
    overwrite: elsewhere, write over what differs. allow_empty: in place, go on though nothing existed at T. models:
    what to do where a model is not whole at T: "whole" refuses, "nearest" takes its newest whole save at or before T,
    "as-is" restores exactly T. thaw: go on where a model cannot be judged before some of its files are thawed; such a
    plan can be thawed and not applied.
    """

    keep_new: bool = False
    undelete: bool = False
    settled: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    overwrite: bool = False
    allow_empty: bool = False
    models: str = "whole"
    thaw: bool = False


DEFAULTS = PlanOptions()


SAMPLES = 5
"""Keys a summary names for each flag."""

KEYS_A_DELETE = 1000
"""Most lines of one DeleteObjects request (S3 API reference, "DeleteObjects")."""


PROBE = 2
"""Requests to learn whether a server obeys conditions, before the first copy and before the first delete."""

NUMBERS = (
    "copied_bytes",
    "hidden",
    "hidden_bytes",
    "overwritten",
    "overwritten_bytes",
    "same_content",
    "thaw_bytes",
    "write_requests",
    "delete_lines",
    "marker_lines",
)


@dataclass(slots=True)
class Summary:
    """What a plan comes to. copied_bytes are read and written, and are what the storage grows by.

    hidden: keys whose present content will no longer be current (its version stays), with their bytes. overwritten:
    files whose present content is lost, with their bytes. same_content: keys kept though another version is current,
    since its content is that at T; metadata and tags were not compared. thaw_bytes: bytes in archive classes that must
    be thawed first. write_requests: those of one key each. delete_lines, marker_lines: keys to hide and markers to
    remove, of which 1,000 go into a request. flagged: keys per flag; samples: the first few keys of each.
    """

    to_folder: bool = False
    counts: dict[Action, int] = field(default_factory=lambda: dict.fromkeys(Action, 0))
    copied_bytes: int = 0
    hidden: int = 0
    hidden_bytes: int = 0
    overwritten: int = 0
    overwritten_bytes: int = 0
    same_content: int = 0
    thaw_bytes: int = 0
    write_requests: int = 0
    delete_lines: int = 0
    marker_lines: int = 0
    flagged: dict[Flag, int] = field(default_factory=dict)
    samples: dict[Flag, list[str]] = field(default_factory=dict)

    @property
    def changes(self) -> int:
        """Keys that the plan writes."""
        return self.counts[Action.COPY] + self.counts[Action.DELETE] + self.counts[Action.UNDELETE]

    @property
    def requests(self) -> int:
        """Requests that apply will send when nothing goes wrong; see `cost`."""
        probes = PROBE * (bool(self.counts[Action.COPY] and not self.to_folder) + bool(self.delete_lines))
        bulk = ceil(self.delete_lines / KEYS_A_DELETE) + ceil(self.marker_lines / KEYS_A_DELETE)
        return self.write_requests + bulk + probes

    @property
    def added_bytes(self) -> int:
        """What the destination's storage grows by."""
        return self.copied_bytes

    def add(self, step: Step, requests: int = 0) -> None:
        """Count one step in. requests: what it takes alone, from `cost`."""
        self.counts[step.action] += 1
        self.write_requests += requests
        self.same_content += step.action is Action.KEEP and step.reason in SAME_CONTENT
        if step.action is Action.COPY:
            self.copied_bytes += step.size
        elif step.action is Action.THAW:
            self.thaw_bytes += step.size
        elif step.action is Action.DELETE:
            self.delete_lines += 1
        elif step.action is Action.UNDELETE:
            self.marker_lines += len(step.markers)
        if step.action in (Action.COPY, Action.DELETE) and step.current is not None and not step.current.is_marker:
            self._lose(step.current)
        for flag in step.flags:
            self.flagged[flag] = self.flagged.get(flag, 0) + 1
            names = self.samples.setdefault(flag, [])
            if len(names) < SAMPLES:
                names.append(step.key)

    def _lose(self, current: Current) -> None:
        if self.to_folder:
            self.overwritten += 1
            self.overwritten_bytes += current.size
        else:
            self.hidden += 1
            self.hidden_bytes += current.size

    def as_json(self) -> dict[str, object]:
        """The form in a plan's header."""
        return {
            "counts": {action.value: count for action, count in self.counts.items()},
            **{name: getattr(self, name) for name in NUMBERS},
            "to_folder": self.to_folder,
            "flagged": {flag.value: count for flag, count in self.flagged.items()},
            "samples": {flag.value: names for flag, names in self.samples.items()},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Summary:
        """The inverse of `as_json`. Raises KeyError, ValueError or TypeError on anything else."""
        return cls(
            counts={action: int(data["counts"][action.value]) for action in Action},
            to_folder=bool(data["to_folder"]),
            flagged={Flag(flag): int(count) for flag, count in data["flagged"].items()},
            samples={Flag(flag): [str(name) for name in names] for flag, names in data["samples"].items()},
            **{name: int(data[name]) for name in NUMBERS},
        )


def selector(options: PlanOptions) -> Callable[[str], bool]:
    """Whether a key, relative to the prefix, is to be restored at all. As in the aws command line, "*" crosses "/"."""
    include = [re.compile(translate(glob)) for glob in options.include]
    exclude = [re.compile(translate(glob)) for glob in options.exclude]

    def selected(relative: str) -> bool:
        if include and not any(glob.match(relative) for glob in include):
            return False
        return not any(glob.match(relative) for glob in exclude)

    return selected


def decide(state: KeyState, options: PlanOptions) -> Step | None:
    """The step for a key restored in place; None where it was absent then and is absent now."""
    then, now = state.then, state.now
    flags = tuple(sorted(state.flags))
    current = _current(state.now_entry)
    if then is None:
        if now is None:
            return None
        if options.keep_new:
            return Step(Action.KEEP, state.key, Reason.KEPT_NEW, current=current, flags=flags)
        return Step(Action.DELETE, state.key, Reason.NEW, current=current, flags=flags)
    step = _toward(then, Action.COPY, Reason.DELETED, current, flags)
    if now is not None:
        if now.version_id == then.version_id:
            return step._replace(action=Action.KEEP, reason=Reason.SAME_VERSION)
        same = same_by_listing(step)
        if same is not None:
            return step._replace(action=Action.KEEP, reason=same)
        step = step._replace(reason=Reason.CHANGED)
    elif options.undelete and all(entry.is_marker for entry in state.newer):
        markers = tuple(entry.version_id for entry in state.newer)
        return step._replace(action=Action.UNDELETE, markers=markers)
    if state.archived:
        return step._replace(action=Action.THAW, reason=Reason.ARCHIVED)
    return step


def decide_elsewhere(state: KeyState, target: str, there: Entry | None) -> Step | None:
    """The step for a key written to another bucket, where `there` is current; None where it was absent at T."""
    if state.then is None:
        return None
    flags = tuple(sorted(state.flags))
    step = _toward(state.then, Action.COPY, Reason.MISSING, _current(there), flags)._replace(target=target)
    if there is not None and not there.is_marker:
        same = same_by_listing(step)
        if same is not None:
            return step._replace(action=Action.KEEP, reason=same)
        step = step._replace(reason=Reason.CHANGED)
    if state.archived:
        return step._replace(action=Action.THAW, reason=Reason.ARCHIVED)
    return step


def decide_file(state: KeyState, target: str, there: Current | None) -> Step | None:
    """The step for a key written as a file, where `there` stands now; None where it was absent at T."""
    if state.then is None:
        return None
    reason = Reason.MISSING if there is None else Reason.CHANGED
    step = _toward(state.then, Action.COPY, reason, there, tuple(sorted(state.flags)))._replace(target=target)
    if there is not None and target.endswith("/"):
        return step._replace(action=Action.KEEP, reason=Reason.SAME_BYTES)
    if state.archived:
        return step._replace(action=Action.THAW, reason=Reason.ARCHIVED)
    return step


def same_by_listing(step: Step) -> Reason | None:
    """Why the listing alone proves that what stands has the content wanted; None where it does not.

    An ETag is either the MD5 of the content, or the MD5 of its parts' MD5s with their number, or opaque but unique to
    one content and key (S3 API reference, "Object"): equality, with the size, is equality of content in all three.
    """
    current = step.current
    if current is None or current.is_marker or current.size != step.size:
        return None
    if step.etag and current.etag == step.etag:
        return Reason.SAME_ETAG
    return Reason.SAME_BYTES if step.size == 0 else None


def may_be_same(step: Step) -> bool:
    """Whether what stands could have the content wanted though the listing cannot tell: sizes equal, ETags not."""
    current = step.current
    return (
        step.action in (Action.COPY, Action.THAW)
        and current is not None
        and not current.is_marker
        and current.size == step.size
    )


def etags_decide(step: Step) -> bool:
    """Whether different ETags mean different content: both are MD5s, unless the objects are encrypted by KMS."""
    return "-" not in step.etag and step.current is not None and "-" not in step.current.etag


def _current(entry: Entry | None) -> Current | None:
    if entry is None:
        return None
    return Current(entry.version_id, entry.etag, entry.size, entry.is_marker)


def _toward(then: Entry, action: Action, reason: Reason, current: Current | None, flags: tuple[Flag, ...]) -> Step:
    return Step(
        action=action,
        key=then.key,
        reason=reason,
        version_id=then.version_id,
        etag=then.etag,
        size=then.size,
        last_modified=then.last_modified,
        storage_class=then.storage_class,
        current=current,
        flags=flags,
    )
