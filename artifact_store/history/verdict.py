"""Whether a model is whole at an instant: judged from its set, its saves and what its headers say.

Owns the conditions and their reasons. Pure: who asks for headers and checksums hands over the answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from artifact_store.formats.finding import Finding
from artifact_store.history.instant import show
from artifact_store.history.layouts.configs import is_config
from artifact_store.history.layouts.content import holds_weights
from artifact_store.history.saves import (
    CLOSE_SECONDS,
    Origins,
    Save,
    content_of,
    of_one_save,
    parts,
    surely_of_one_save,
)
from artifact_store.history.sets import ModelSet
from artifact_store.history.state import is_archived, is_multipart, is_unsettled
from artifact_store.s3.operations import Entry

NAMED = 3
"""Most files a reason names."""


class Condition(StrEnum):
    """What a model is worth at an instant."""

    WHOLE = "whole"
    MID_SAVE = "mid-save"
    """Some writes of one save lie before the instant, some after."""
    INCOMPLETE = "incomplete"
    """Files are missing, empty, cut, of two saves, or must be thawed before that can be told."""
    AMBIGUOUS = "ambiguous"
    """Loaders would pick different files."""
    UNCERTAIN = "uncertain"
    """An upload in parts began shortly before, and may have ended after."""


@dataclass(frozen=True)
class Evidence:
    """All that a verdict is built on. then: path -> the version that stood at the instant, of every file of the set.
    histories: path -> its entries, newest first, of the same. saves: of what it cannot do without, oldest first. of:
    which saves the files of its parts are of. findings: path -> what the header of the version that stood says. read:
    files that its layout has read. denied: files that may not be read, or were gone when asked for. ended: every upload
    that is listed had ended at the instant."""

    found: ModelSet
    instant: float
    then: Mapping[str, Entry]
    histories: Mapping[str, Sequence[Entry]]
    saves: Sequence[Save]
    of: Origins
    findings: Mapping[str, Finding]
    read: Collection[str] = frozenset()
    denied: Collection[str] = frozenset()
    ended: bool = False

    def second(self, path: str) -> int:
        """When the version that stood was written."""
        return int(self.then[path].last_modified // 1)

    def save_of(self, path: str) -> Save | None:
        """The save that wrote the version that stood."""
        version = self.then[path].version_id
        return next((s for s in self.saves if path in s.written and s.written[path].version_id == version), None)

    @cached_property
    def parts(self) -> dict[str, Origins]:
        """Name of a part -> file -> the saves it is of; of the files that are there."""
        parts = self.found.parts.items()
        return {name: {path: self.of[path] for path in files if path in self.of} for name, files in parts}

    @cached_property
    def closed(self) -> dict[str, list[int]]:
        """Folder -> the seconds at which something was written in it, in one request, that comes last in a save."""
        found: dict[str, list[int]] = {}
        for path in self.found.closing:
            if path in self.then and not is_multipart(self.then[path]):
                found.setdefault(path[: path.rfind("/") + 1], []).append(self.second(path))
        return found

    @cached_property
    def empty(self) -> list[str]:
        """Files that hold nothing and should. Layouts tell of empty files that they read."""
        unread = [path for path in (*self.found.indexes, *self.found.configs) if path not in self.read]
        needed = dict.fromkeys((*self.found.members, *unread))
        return [p for p in needed if p in self.then and not self.then[p].size and p not in self.found.may_be_empty]


def judge(evidence: Evidence) -> tuple[Condition, tuple[str, ...]]:
    """(condition, reasons): the worst that is known, and every reason for anything but whole."""
    torn = tuple(_torn(evidence))
    broken = tuple(_broken(evidence))
    if torn:
        return Condition.MID_SAVE, torn + broken
    if broken:
        return Condition.INCOMPLETE, broken
    readers = evidence.found.readers
    if len(set(readers.values())) > 1:
        picks = ", ".join(f"{reader} loads {pick}" for reader, pick in sorted(readers.items()))
        return Condition.AMBIGUOUS, (picks,)
    unsure = tuple(_unsure(evidence))
    return (Condition.UNCERTAIN, unsure) if unsure else (Condition.WHOLE, ())


def _torn(evidence: Evidence) -> Iterator[str]:
    for save in evidence.saves:
        if save.straddles(evidence.instant):
            yield f"a save that began at {show(save.first)} went on until {show(save.last)}"


def _broken(evidence: Evidence) -> Iterator[str]:
    found, then = evidence.found, evidence.then
    by_namer: dict[str, list[str]] = {}
    for missing in (missing for missing in found.missing if missing.needed):
        by_namer.setdefault(missing.named_by, []).append(missing.path)
    for namer, paths in by_namer.items():
        yield f"{some(paths)} {_be(paths)} not there, named by {namer}"
    yield from found.problems
    if evidence.empty:
        yield f"{some(evidence.empty)} {_be(evidence.empty)} empty"
    for path, least in found.least.items():
        if path in then and 0 < then[path].size < least:
            yield f"{path} has {then[path].size:,} bytes, and at least {least:,} are needed"
    needed = {*found.members, *found.indexes, *found.configs}
    for path, finding in evidence.findings.items():
        if finding.problem and path in needed and path not in evidence.empty:
            yield f"{path} {finding.problem}"
    yield from _against_headers(evidence)
    yield from _split(evidence)
    for of in evidence.parts.values():
        if not of_one_save(of, evidence.saves):
            yield from _mixed(evidence, of)


def _mixed(evidence: Evidence, of: Origins) -> Iterator[str]:
    """Files of two saves, unless an index says that the newest save was finished: it left out what is unchanged."""
    newest, its, rest = parts(of, evidence.saves, evidence.instant)
    save = evidence.saves[newest]
    bound = {path for path in rest if path in evidence.found.indexes}
    if bound or not any(_finished(evidence, newest, path) for path in evidence.found.indexes if path in evidence.then):
        yield (
            f"files of two saves: the one that began at {show(save.start)} wrote {some(its)}, but not {some(rest)}; "
            "a push that was cut off, or an uploader that skips unchanged files, looks like this"
        )


def _finished(evidence: Evidence, number: int, index: str) -> bool:
    """Whether this index came after all else that this save wrote, and says something else than before."""
    save, now = evidence.saves[number], evidence.then[index]
    rest = [int(entry.last_modified) for path, entry in save.written.items() if path != index]
    before = [earlier.written[index] for earlier in evidence.saves[:number] if index in earlier.written]
    return (
        evidence.save_of(index) is save
        and not is_multipart(now)
        and index not in evidence.found.unordered
        and bool(rest)
        and max(rest) < evidence.second(index)
        and bool(before)
        and all(content_of(entry) != content_of(now) for entry in before)
    )


def _against_headers(evidence: Evidence) -> Iterator[str]:
    for path, wanted in evidence.found.tensors.items():
        finding = evidence.findings.get(path)
        if finding is None or finding.problem or not (finding.proved and finding.tensors):
            continue
        there = finding.tensors.keys()
        if lost := sorted(wanted - there):
            yield f"{path} lacks {some(lost, 'tensor')}, which the index places there"
        if stray := sorted(there - wanted):
            yield f"{path} holds {some(stray, 'tensor')}, which the index does not place there"
    for path, facts in evidence.found.facts.items():
        finding = evidence.findings.get(path)
        for name, value in facts.items():
            if finding is not None and finding.facts.get(name, value) != value:
                yield f"{path} says {name} = {finding.facts[name]}, and {value} is expected"


def _split(evidence: Evidence) -> Iterator[str]:
    """Each piece of a split GGUF says how many tensors all of them have together."""
    found = evidence.found
    findings = [evidence.findings.get(path) for path in found.members]
    whole = [finding for finding in findings if finding is not None and finding.proved and not finding.problem]
    counts = {finding.facts["split.tensors.count"] for finding in whole if "split.tensors.count" in finding.facts}
    held = sum(len(finding.tensors) for finding in whole)
    if found.facts and not found.missing and len(whole) == len(found.members) and counts - {held}:
        yield f"its pieces hold {held:,} tensors together, and one says {min(counts - {held}):,}"


def _unsure(evidence: Evidence) -> Iterator[str]:
    if evidence.ended:
        return
    found, then = evidence.found, evidence.then
    open_ = [
        path
        for path in (*found.members, *found.indexes)
        if path in then
        and is_unsettled(then[path], evidence.instant)
        and not _is_closed(evidence, path)
        # Whoever writes it again has ended with this one.
        and _next_write(evidence, path) != int(evidence.instant // 1) + 1
    ]
    if open_:
        began = min(then[path].last_modified for path in open_)
        began_at = f"begun at {show(began)}"
        yield f"{some(open_)} {_be(open_)} uploaded in parts, {began_at}, and S3 does not tell when that ended"


def _is_closed(evidence: Evidence, path: str) -> bool:
    """Whether what its save writes last, in one request and beside or above it, was written after the upload began."""
    save, began = evidence.save_of(path), evidence.second(path)
    if save is None:
        return False
    folders = [path[: end + 1] for end, sign in enumerate(path) if sign == "/"]
    return any(began < second <= save.last for folder in ("", *folders) for second in evidence.closed.get(folder, ()))


def _next_write(evidence: Evidence, path: str) -> int | None:
    second = int(evidence.instant // 1)
    later = (int(entry.last_modified // 1) for entry in evidence.histories[path])
    return min((time for time in later if time > second), default=None)


def warn(evidence: Evidence, condition: Condition) -> tuple[str, ...]:
    """What the user should know of a model beside its condition. Inside a save files of two are no news."""
    of_saves = () if condition is Condition.MID_SAVE else (_resumed, _parts_apart, _edited)
    return tuple(text for look in (*of_saves, _beside, _unchecked) for text in look(evidence))


def _resumed(evidence: Evidence) -> Iterator[str]:
    """Files of saves that pass for one."""
    for of in evidence.parts.values():
        if not surely_of_one_save(of) and of_one_save(of, evidence.saves):
            newest, its, rest = parts(of, evidence.saves, evidence.instant)
            earlier = max(max(of[path]) for path in rest)
            then, before = show(evidence.saves[newest].start), show(evidence.saves[earlier].start)
            yield (
                f"{some(its)} {_were(its)} written at {then}, {some(rest)} at {before}: a push that was resumed looks "
                "like this, a restored model whose older versions have expired, and a push that was cut off long ago"
            )


def _parts_apart(evidence: Evidence) -> Iterator[str]:
    """Parts that no save wrote together, each with the newest save it is of."""
    every = [of for of in evidence.parts.values() if of]
    if of_one_save({path: numbers for of in every for path, numbers in of.items()}, evidence.saves):
        return
    by_save: dict[int, list[str]] = {}
    for name, of in evidence.parts.items():
        if of:
            by_save.setdefault(max(max(numbers, default=0) for numbers in of.values()), []).append(name)
    if len(by_save) > 1:
        told = ", ".join(
            f"{some(names)} {_were(names)} written at {show(evidence.saves[number].start)}"
            for number, names in sorted(by_save.items(), reverse=True)[:NAMED]
        )
        yield f"{told}: a part that was replaced alone or a push that was cut off looks like this"


def _edited(evidence: Evidence) -> Iterator[str]:
    """Configs that say something new since the weights were written."""
    found, then = evidence.found, evidence.then
    wrote = [save for path in found.members if path in then and (save := evidence.save_of(path))]
    if not wrote:
        return
    until = max(save.last for save in wrote) + CLOSE_SECONDS
    weights = max(evidence.second(path) for path in found.members if path in then)
    apart = {path for files in found.parts.values() for path in files}
    configs = [*filter(is_config, found.others), *found.indexes, *found.pointers]
    new = [
        path
        for path in configs
        if path in then
        and path not in apart
        and evidence.second(path) > until
        and not any(_stood(entry, then[path], until) for entry in evidence.histories[path])
    ]
    if new:
        yield (
            f"{some(new)} {_were(new)} written at {show(max(evidence.second(path) for path in new))}, the weights at "
            f"{show(weights)}: a config that was edited alone or a push that was cut off looks like this"
        )


def _stood(entry: Entry, now: Entry, until: int) -> bool:
    return not entry.is_marker and entry.last_modified <= until and content_of(entry) == content_of(now)


def _beside(evidence: Evidence) -> Iterator[str]:
    found = evidence.found
    needed = {*found.members, *found.indexes, *found.configs}
    for path, finding in evidence.findings.items():
        if finding.problem and path not in needed:
            yield f"{path} {finding.problem}"


def _unchecked(evidence: Evidence) -> Iterator[str]:
    """Weights and indexes that nobody looked into."""
    found, then = evidence.found, evidence.then
    archived, partly, sizes = list[str](), list[str](), list[str]()
    for path in dict.fromkeys((*found.members, *found.indexes)):
        looked_at = path in evidence.read or path in found.hashed or path in evidence.denied
        if path not in then or looked_at or not then[path].size or not holds_weights(path):
            continue
        finding = evidence.findings.get(path)
        if is_archived(then[path]):
            archived.append(path)
        elif finding is not None and not finding.proved and not finding.problem:
            (partly if finding.format else sizes).append(path)
    sizes = [path for path in sizes if found.least.get(path, 0) < 2]
    if archived:
        yield f"{some(archived)} {_be(archived)} archived, so the content was not checked"
    if denied := [path for path in found.paths if path in evidence.denied]:
        yield f"{some(denied)} cannot be read, so the content was not checked"
    if partly:
        yield f"{some(partly)} {_were(partly)} checked in part only"
    if sizes:
        yield f"{some(sizes)} {_be(sizes)} of no format that is checked: only names and sizes were looked at"


def some(names: Sequence[str], noun: str = "") -> str:
    """ "a", "a and b", "a, b, c and 5 more", with a noun before them."""
    shown = list(names[:NAMED])
    rest = len(names) - len(shown)
    if rest:
        text = f"{', '.join(shown)} and {rest:,} more"
    else:
        text = shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
    return f"{noun} {text}" if noun else text


def _be(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _were(names: Sequence[str]) -> str:
    return "was" if len(names) == 1 else "were"
