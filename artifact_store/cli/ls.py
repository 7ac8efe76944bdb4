"""`ls`: what was there at T."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from artifact_store.cli import options as opt
from artifact_store.cli.output import emit, its, number, paint, printable, say, size, tell
from artifact_store.history.instant import parse_moment, show
from artifact_store.history.scope import parse_scope
from artifact_store.history.state import Flag

if TYPE_CHECKING:
    from artifact_store.history.state import KeyState
    from artifact_store.s3.operations import Entry

SHORT = 8
"""Characters of a version id on a terminal. The last ones, since some servers begin ids with the time."""
MARKS = {Flag.UNSETTLED: "?", Flag.TIE: "="}
MEANINGS = {
    Flag.UNSETTLED: "may not have been visible at T: {its} multipart upload began shortly before (--settled takes the "
    "version before)",
    Flag.TIE: "changed twice in the second of T, and the server does not say in which order",
}


@opt.grouped
def ls(
    address: opt.Address,
    at: opt.At,
    settled: opt.Settled = False,
    as_json: opt.Json = False,
    *,
    target: opt.Target,
) -> None:
    """Show what was there at T; where nothing ever was, that is said, and is no error.

    One line a key: when it was written, size, version, key. With --json: key, version_id, size, etag, last_modified,
    storage_class, flags (unsettled, tie, edge, replaced).
    """
    from artifact_store.cli.looking import Nearest, record, spelling
    from artifact_store.history import state
    from artifact_store.history.versioned import clock

    scope, moment = parse_scope(address), parse_moment(at)
    keys = count = 0
    marked = dict.fromkeys(MARKS, 0)
    with target.connect() as s3:
        instant = moment.at(clock(s3, scope.bucket))
        nearest = Nearest(instant)
        for history in scope.histories(s3):
            nearest.see(history.entries)
            found = state.at(history, instant, settled=settled)
            if found.then is None:
                continue
            keys, count = keys + 1, count + found.then.size
            for flag in MARKS:
                marked[flag] += flag in found.flags
            if as_json:
                emit({**record(found.then), "flags": sorted(found.flags)})
            else:
                tell(line(found, found.then))
        if not keys:
            hint = "" if nearest.any else f"; {spelling(s3, scope)}"
            say(f"nothing was there in {printable(str(scope))} at {show(instant)}; {nearest}{hint}", "yellow")
            return
    say(f"{number(keys, 'key')}, {size(count)} in {printable(str(scope))} at {show(instant)}")
    for flag, found_in in marked.items():
        if found_in:
            told = MEANINGS[flag].format(its=its(found_in))
            say(f"{MARKS[flag]} {number(found_in, 'key')} {told}", "yellow")


def line(found: KeyState, then: Entry) -> str:
    """A key as it was, on one line. then: the version that stood."""
    out = sys.stdout
    version = short(then.version_id) if out.isatty() else then.version_id
    mark = next((mark for flag, mark in MARKS.items() if flag in found.flags), " ")
    archive = f"  [{then.storage_class}]" if then.storage_class != "STANDARD" else ""
    return (
        f"{show(then.last_modified)} {size(then.size):>9} {paint(version, 'dim', out)} "
        f"{paint(mark, 'yellow', out)} {printable(found.key)}{paint(archive, 'cyan', out)}"
    )


def short(version_id: str) -> str:
    """Enough of an id to tell a key's versions apart."""
    return version_id.ljust(SHORT) if len(version_id) <= SHORT else "…" + version_id[1 - SHORT :]
