"""A plan and what became of it, in a few lines on stderr, or as a record for --json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from artifact_store.cli.output import in_order, its, number, printable, say, size
from artifact_store.history.instant import show
from artifact_store.history.scope import Scope

if TYPE_CHECKING:
    from artifact_store.cli.options import Target
    from artifact_store.restore.apply import Report
    from artifact_store.restore.models import PlannedModel
    from artifact_store.restore.planfile import Header, Plan
    from artifact_store.restore.verify import Verification

WARNINGS = {
    "tie": "changed twice in the second of T, and the server does not say in which order; the version is taken",
    "unsettled": "may not have been visible at T: {its} multipart upload began shortly before (see --settled)",
    "replaced": "written without versioning after T: what was there before may be lost",
}
WARNED = 8
"""Most warnings of models that are shown."""


def explain(plan: Plan) -> None:
    """What a plan does, how much it is, what it hides and what to beware of."""
    from artifact_store.restore.plan import Action

    header, summary = plan.header, plan.summary
    counts = summary.counts
    undeleted = its(counts[Action.UNDELETE])
    where = f" into {printable(str(header.destination))}" if str(header.destination) else ""
    say(f"{printable(str(scope(plan)))} to {show(header.instant)}{where}", "bold")
    lines = (
        (counts[Action.COPY], "copy", f"{size(summary.copied_bytes)}, bringing back what was there"),
        (
            counts[Action.UNDELETE],
            "undelete",
            f"removing {undeleted} delete markers for good, which rewrites history",
        ),
        (counts[Action.DELETE], "hide", "with a delete marker: not there at T"),
        (counts[Action.THAW], "thaw", f"{size(summary.thaw_bytes)} in an archive class, to be made readable first"),
        (counts[Action.KEEP], "keep", _kept(header, counts[Action.KEEP], summary.same_content)),
    )
    for count, word, note in lines:
        if count:
            say(f"  {word:<9}{number(count, 'key'):>14}  {note}")
    if summary.changes:
        say(f"  {'cost':<9}{number(summary.requests, 'request'):>14}  {size(summary.added_bytes)} of storage added")
    if summary.overwritten:
        files = number(summary.overwritten, "file")
        say(f"  warning: {files} ({size(summary.overwritten_bytes)}) will be overwritten and lost", "yellow")
    if summary.hidden:
        stays = "stays as an older version" if summary.hidden == 1 else "stay as older versions"
        say(f"  {number(summary.hidden, 'key')} current now ({size(summary.hidden_bytes)}) {stays}: nothing is lost")
    if summary.changes or plan.archived:
        _models(header)
    for flag, count in summary.flagged.items():
        names = ", ".join(printable(key) for key in summary.samples.get(flag, [])[:3])
        more = f" and {count - 3:,} more" if count > 3 else ""
        if flag.value in WARNINGS:
            told = WARNINGS[flag.value].format(its=its(count))
            say(f"  warning: {number(count, 'key')} {told}: {names}{more}", "yellow")
        else:
            near = f"{number(count, 'key')} changed within a second of T; a T one second off differs"
            say(f"  note: {near}: {names}{more}")


def _kept(header: Header, count: int, same_content: int) -> str:
    told = "as it is" if count == 1 else "as they are"
    if not same_content:
        return told
    why = unchanged(same_content, count, "there already" if str(header.destination) else "rewritten since")
    return f"{told}{':' if same_content == count else ';'} {why}"


def unchanged(count: int, kept: int, what: str = "rewritten since") -> str:
    """Why keys stay though their version is another. count: how many of all that are kept."""
    was = "was" if count == 1 else "were"
    return f"{of_all(count, kept)} {was} {what} with the same content; metadata and tags are not compared"


def of_all(count: int, every: int) -> str:
    """ "it", "all of them", "2 of them"."""
    return "it" if every == 1 else "all of them" if count == every else f"{count:,} of them"


def _models(header: Header) -> None:
    from artifact_store.restore.models import Wanted

    whole = sum(model.whole for model in header.models)
    if whole:
        say(f"  {'whole':<9}{number(whole, 'model'):>14}  brought back member by member, what lists them last")
    for model in header.models:
        if model.instant != header.instant:
            say(f"  {printable(model.title)} as it was at {show(model.instant)}, when it was whole last", "yellow")
        if model.to_thaw:
            files = number(len(model.to_thaw), "file")
            say(f"  note: {files} of {printable(model.title)} must be thawed before it can be judged", "yellow")
        elif model.unjudged:
            say(f"  warning: {_unjudged(model)}", "yellow")
        elif not model.whole:
            asked = header.options.models == Wanted.AS_IS
            how = f"comes back {model.condition}, as asked" if asked else f"will still be {model.condition}"
            text = f"{model.title} ({model.layout}) {how}: {'; '.join(model.reasons)}"
            say(f"  warning: {printable(text)}", "yellow")
    _warnings(header)


def standing(plan: Plan) -> None:
    """What is not whole where there is nothing to do."""
    for model in plan.header.models:
        if model.unjudged:
            say(f"warning: {_unjudged(model)}", "yellow")
        elif not model.whole:
            what = f"{model.title} ({model.layout}) is {model.condition}: {'; '.join(model.reasons)}"
            say(f"warning: {printable(what)}", "yellow")
            if model.instants:
                say(f"  {model.instants}; see --nearest-complete", "yellow")
    _warnings(plan.header)


def _unjudged(model: PlannedModel) -> str:
    layout = f" (perhaps {model.layout})" if model.layout else ""
    return printable(f"models in {model.title}{layout} were not judged: {'; '.join(model.reasons)}")


def _warnings(header: Header) -> None:
    warned = [(model, text) for model in header.models for text in model.warnings]
    for model, text in warned[:WARNED]:
        say(f"  note: {printable(model.title)}: {printable(text)}")
    if len(warned) > WARNED:
        say(f"  note: {len(warned) - WARNED:,} more like these; artifact-store models names them all")


def holders(plan: Plan, target: Target) -> None:
    """Who may still hold old bytes after it was carried out."""
    from artifact_store.restore.notes import holders as still_holding

    account = _given(("--profile", target.profile), ("--region", target.region))
    found = list(still_holding(plan.header, account, _given(("--endpoint-url", target.endpoint_url))))
    if found:
        say("who may still hold the old bytes, and what to run:", "dim")
    for who, what in found:
        say(f"  {printable(who)}", "dim")
        say(f"    {printable(what)}", "dim")


def _given(*options: tuple[str, str | None]) -> list[str]:
    return [word for name, value in options if value for word in (name, value)]


def scope(plan: Plan) -> Scope:
    """What the plan is about."""
    return Scope(plan.header.bucket, plan.header.prefix, plan.header.raw)


def of_plan(plan: Plan) -> dict[str, Any]:
    """The plan for --json."""
    header, summary = plan.header, plan.summary
    return {
        "bucket": header.bucket,
        "prefix": header.prefix,
        "at": show(header.instant),
        "to": str(header.destination) or None,
        "plan": str(plan.path),
        **{action.value: count for action, count in summary.counts.items()},
        "copied_bytes": summary.copied_bytes,
        "added_bytes": summary.added_bytes,
        "hidden": summary.hidden,
        "hidden_bytes": summary.hidden_bytes,
        "overwritten": summary.overwritten,
        "overwritten_bytes": summary.overwritten_bytes,
        "same_content": summary.same_content,
        "requests": summary.requests,
        "flags": {flag.value: count for flag, count in summary.flagged.items()},
        "models": [
            {
                "prefix": model.prefix,
                "name": model.name,
                "layout": model.layout,
                "condition": model.condition,
                "at": show(model.instant),
                "reasons": list(model.reasons),
                "warnings": list(model.warnings),
            }
            for model in header.models
        ],
    }


def of_report(report: Report) -> dict[str, Any]:
    """What became of it, for --json."""
    return {
        "written": report.written,
        "already": report.already,
        "written_bytes": report.bytes,
        "failed": _pairs(report.failed),
        "conflicts": _pairs(report.conflicts),
        "pending": report.pending,
        "thawing": report.thawing,
        "uploads_left": report.uploads_left,
    }


def of_proof(found: Verification) -> dict[str, Any]:
    """The proof, for --json."""
    return {
        "checked": found.checked,
        "compared": found.compared,
        "headers": found.headers,
        "unread": found.unread,
        "wrong": _pairs(found.wrong),
        "unproved": _pairs(found.unproved),
    }


def _pairs(failures: tuple[tuple[str, str], ...]) -> list[dict[str, str]]:
    return [{"key": key, "reason": reason} for key, reason in in_order(failures)]
