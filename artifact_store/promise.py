"""What can be got back from a store, in plain words: computed from its design, never from wishes.

Owns the rows that are exported, printed at preview and shown by the command line, and the reasons why a design cannot
keep what its users were told.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import timedelta

from artifact_store import cron
from artifact_store.design import Design, Rule
from artifact_store.rules import LAG_MINUTES


@dataclass(frozen=True)
class Row:
    """One way back. Texts for people; `how_far_back_days` (None = for ever) and `how_fresh_minutes` for programs: how
    old the newest recovery point may be where the next job takes all the time it may."""

    what: str
    granularity: str
    how_far_back: str
    how_fresh: str
    where: str
    survives: str
    how_far_back_days: int | None
    how_fresh_minutes: int

    def export(self) -> dict[str, str | int | None]:
        """As a stack output: the same names in camelCase."""
        words = ((k.split("_"), v) for k, v in asdict(self).items())
        return {first + "".join(w.title() for w in rest): v for (first, *rest), v in words}


def promise(design: Design) -> list[Row]:
    """Rows from the quickest way back to the one that survives most."""
    accident = "overwrites, deletes"
    held = f"{accident}, lost versions, a lost bucket"
    if design.vault.lock:
        held += f", deleted backups ({design.vault.lock.mode} lock)"
    bucket_days = design.bucket.noncurrent_days
    rows = [
        Row(
            what="any key, from its S3 versions",
            granularity="any second",
            how_far_back=_days(bucket_days),
            how_fresh="now",
            where=f"the bucket, {design.region}",
            survives=accident + (", removed versions (denied)" if design.bucket.deny_version_deletion else ""),
            how_far_back_days=bucket_days,
            how_fresh_minutes=0,
        )
    ]
    rows += [_of_rule(rule, f"vault {design.vault.name}, {design.region}", held) for rule in design.rules]
    for rule in design.rules:
        if rule.copy_days is not None and design.second_region:
            where = f"vault {design.vault.name}, {design.second_region}"
            row = _of_rule(rule, where, f"{held}, a lost {design.region}")
            copied, days = f"{row.what}, copied", rule.copy_days
            rows.append(replace(row, what=copied, how_far_back=_days(days), how_far_back_days=days))
    return rows


def broken_demands(design: Design) -> Iterator[tuple[str, str]]:
    """(field, reason) for each demand the design cannot keep. The S3 versions do not count: they are gone with the
    bucket, so the freshness and the depth of a promise are those of the backup."""
    backups = [row for row in promise(design) if row.where.startswith("vault ")]
    freshest = min(row.how_fresh_minutes for row in backups)
    if design.rpo_minutes is not None and design.rpo_minutes < freshest:
        yield (
            "demands.rpoMinutes",
            f"{design.rpo_minutes} min demanded, but the freshest backup may be {freshest} min old",
        )
    deepest = max((row.how_far_back_days or 0 for row in backups), default=0)
    if design.keep_days is not None and design.keep_days > deepest:
        text = f"{design.keep_days} days demanded, but nothing is kept longer than {deepest} days; raise retention"
        yield "demands.keepDays", text


def text(rows: list[Row]) -> str:
    """The promise for people: two lines a row, in columns that fit a terminal of 100."""
    lines = []
    for row in rows:
        head = (row.what, row.granularity, f"{row.how_far_back} back", f"as of {row.how_fresh}")
        lines.append(f"{head[0]:<38}{head[1]:<15}{head[2]:<28}{head[3]}")
        lines.append(f"    {row.where}; survives {row.survives}")
    return "\n".join(lines)


def _of_rule(rule: Rule, where: str, survives: str) -> Row:
    if rule.continuous:
        minutes = LAG_MINUTES
        what, granularity, fresh = "the bucket, continuous backup", "any second", f"{minutes} min ago"
    else:
        gap = cron.longest_gap(cron.parse(rule.schedule))
        if gap is None:
            raise ValueError(f"{rule.schedule} never comes again, so nothing can be promised of it")
        wait = gap + timedelta(minutes=rule.completion_window_minutes)
        minutes = int(wait.total_seconds() // 60)
        what, granularity = f"the bucket, {rule.name} snapshot", f"every {_span(gap)}"
        fresh = f"{_span(gap)} to {_span(wait)} ago"
    return Row(
        what=what,
        granularity=granularity,
        how_far_back=_days(rule.delete_after_days),
        how_fresh=fresh,
        where=where,
        survives=survives,
        how_far_back_days=rule.delete_after_days,
        how_fresh_minutes=minutes,
    )


def _days(days: int | None) -> str:
    if days is None:
        return "any time"
    return f"{days} day{'' if days == 1 else 's'}" + (f" ({days / 365:.0f} years)" if days >= 730 else "")


def _span(span: timedelta) -> str:
    hours = int(span.total_seconds() // 3600)
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"
