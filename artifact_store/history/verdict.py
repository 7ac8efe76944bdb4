"""Whether a model is whole at an instant: judged from its set, its saves and what its headers say.

Owns the conditions and their reasons. Pure: who asks for headers and checksums hands over the answers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from artifact_store.formats.finding import Finding
from artifact_store.history.instant import show
from artifact_store.history.saves import Origins, Save, of_one_save, parts
from artifact_store.history.sets import ModelSet
from artifact_store.history.state import is_multipart, is_unsettled
from artifact_store.s3.operations import Entry

NAMED = 3
"""Most files a reason names."""


class Condition(StrEnum):
    """What a model is worth at an instant."""

    WHOLE = "whole"
    MID_SAVE = "mid-save"
    """Some writes of one save lie before the instant, some after."""
    INCOMPLETE = "incomplete"
    """Files are missing, empty, cut, or of two saves."""
    AMBIGUOUS = "ambiguous"
    """Loaders would pick different files."""
    UNCERTAIN = "uncertain"
    """An upload in parts began shortly before, and may have ended after."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that a verdict is built on. then: path -> the version that stood at the instant, of every file of the set.
    saves: of its members and indexes, oldest first. of: which saves the members that stood are of. findings: path ->
    what the header of the version that stood says."""

    found: ModelSet
    instant: float
    then: Mapping[str, Entry]
    saves: Sequence[Save]
    of: Origins
    findings: Mapping[str, Finding]
    following: Mapping[str, int] = field(default_factory=dict)
    """Path -> the second at which it was written next after the instant."""


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
    for missing in found.missing:
        by_namer.setdefault(missing.named_by, []).append(missing.path)
    for namer, paths in by_namer.items():
        yield f"{some(paths)} {_be(paths)} not there, named by {namer}"
    yield from found.problems
    empty = [p for p in found.members if p in then and not then[p].size and p not in found.may_be_empty]
    if empty:
        yield f"{some(empty)} {_be(empty)} empty"
    for path, least in found.least.items():
        if path in then and 0 < then[path].size < least:
            yield f"{path} has {then[path].size:,} bytes, and at least {least:,} are needed"
    for path, finding in evidence.findings.items():
        if finding.problem and path not in empty:
            yield f"{path} {finding.problem}"
    yield from _against_headers(evidence)
    if found.sharded and not of_one_save(evidence.of, evidence.saves):
        newest, its, others = parts(evidence.of, evidence.saves, evidence.instant)
        save = evidence.saves[newest]
        yield (
            f"files of two saves: the one that began at {show(save.start)} wrote {some(its)}, but not {some(others)}; "
            "a push that was cut off looks like this"
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


def _unsure(evidence: Evidence) -> Iterator[str]:
    """An index or pointer that is written in one request after the upload began narrows it: savers write it last."""
    found, then = evidence.found, evidence.then
    last = [
        then[path].last_modified
        for path in (*found.indexes, *found.pointers)
        if path in then and not is_multipart(then[path])
    ]
    closed = max(last, default=float("-inf"))
    open_ = [
        path
        for path in found.members
        if path in then
        and is_unsettled(then[path], evidence.instant)
        and closed <= then[path].last_modified
        # Whoever writes it again has ended with this one.
        and evidence.following.get(path, 0) - evidence.instant != 1
    ]
    if open_:
        began = min(then[path].last_modified for path in open_)
        began_at = f"begun at {show(began)}"
        yield f"{some(open_)} {_be(open_)} uploaded in parts, {began_at}, and S3 does not tell when that ended"


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
