"""What AWS accepts and what keeps the promise: pure checks, each with its source.

Each function looks at plain values and yields problems: an error is refused at preview, a warning is shown. `check`
applies them to a design. Limits that AWS does not check itself, or checks only half-way through an update, are here so
that they are found first.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal
from zoneinfo import available_timezones

from artifact_store import cron
from artifact_store.config import LONGEST_CONTINUOUS, SECRET
from artifact_store.design import Design, Lock, Rule

LONGEST = 36_500
"""Days of retention, a hundred years (AWS Backup API reference, Lifecycle)."""
LONGEST_WINDOW = 52_560_000
"""Minutes of a start window, a hundred years (AWS Backup API reference, StartWindowMinutes)."""
LAG_MINUTES = 15
"""The newest restorable second of a continuous backup is this old (AWS Backup guide, point-in-time-recovery)."""
ARCHIVE_CLASSES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


@dataclass(frozen=True)
class Problem:
    """One fault. `id` is the rule's short name, `field` where in the config it is."""

    id: str
    severity: Literal["error", "warning"]
    field: str
    message: str

    @property
    def line(self) -> str:
        return f"{self.field}: {self.message}"


def vault_name(name: str, field: str) -> Iterator[Problem]:
    """Source: AWS Backup API reference, CreateBackupVault, BackupVaultName."""
    if not re.fullmatch(r"[A-Za-z0-9_-]{2,50}", name):
        yield _error("N1", field, f"vault name {name!r} must be 2 to 50 letters, digits, - or _; it has {len(name)}")


def plan_name(name: str, field: str) -> Iterator[Problem]:
    """Names of plans, rules and selections. Source: AWS Backup API reference, BackupRuleInput."""
    if not re.fullmatch(r"[A-Za-z0-9_.-]{1,50}", name):
        yield _error("N2", field, f"name {name!r} must be 1 to 50 letters, digits, -, _ or .; it has {len(name)}")


def name_without_hyphen(
    name: str, field: str, kind: Literal["framework", "restore test", "tiering"]
) -> Iterator[Problem]:
    """Source: AWS Backup API reference, CreateFramework, CreateRestoreTestingPlan, CreateTieringConfiguration."""
    patterns = {
        "framework": (r"[A-Za-z][A-Za-z0-9_]{0,255}", "1 to 256 letters, digits or _, a letter first"),
        "restore test": (r"[A-Za-z0-9_]{1,50}", "1 to 50 letters, digits or _"),
        "tiering": (r"[A-Za-z0-9_]{1,200}", "1 to 200 letters, digits or _"),
    }
    pattern, words = patterns[kind]
    if not re.fullmatch(pattern, name):
        yield _error("N3", field, f"{kind} name {name!r} must be {words}; it has {len(name)} characters")


def schedule(expression: str | None, field: str) -> Iterator[Problem]:
    """S1 to S3. Source: AWS Backup guide, plan-options-and-configuration; a rule without a schedule differs for ever
    (hashicorp/terraform-provider-aws#22627)."""
    if not expression:
        yield _error("S3", field, f"missing; every rule needs a schedule, write for example {cron.EXAMPLE}")
        return
    try:
        gap = cron.shortest_gap(cron.parse(expression))
    except ValueError as fault:
        yield _error("S1", field, str(fault))
        return
    if gap is not None and gap < timedelta(hours=1):
        minutes = int(gap.total_seconds() // 60)
        yield _error(
            "S2", field, f"{expression} fires every {minutes} min; AWS Backup starts a rule once an hour at most"
        )


def timezone(name: str, field: str) -> Iterator[Problem]:
    """Source: AWS Backup API reference, BackupRuleInput, ScheduleExpressionTimezone."""
    if name not in available_timezones():
        yield _error("S4", field, f"{name!r} is no IANA time zone; write for example Etc/UTC or Europe/Berlin")


def windows(start: int, completion: int, field: str) -> Iterator[Problem]:
    """Minutes. W1: AWS Backup API reference, StartWindowMinutes. W2: the completion window counts from the schedule.
    W3: large buckets end as EXPIRED (ministryofjustice/modernisation-platform#12696)."""
    if not 60 <= start <= LONGEST_WINDOW:
        yield _error("W1", f"{field}.startWindowMinutes", f"must be 60 to {LONGEST_WINDOW}, found {start}")
    if completion > LONGEST_WINDOW:
        yield _error("W2", f"{field}.completionWindowMinutes", f"must be at most {LONGEST_WINDOW}, found {completion}")
    elif start <= LONGEST_WINDOW and completion < start + 60:
        found = f"must be at least startWindowMinutes + 60 = {start + 60}, found {completion}"
        yield _error("W2", f"{field}.completionWindowMinutes", found)
    elif completion < 1440:
        text = f"{completion} min is short for a bucket of models: a longer job ends EXPIRED; write 1440 or more"
        yield _warning("W3", f"{field}.completionWindowMinutes", text)


def lifecycle(delete_after: int | None, cold_after: int | None, field: str) -> Iterator[Problem]:
    """Days. L1, L2: AWS Backup API reference, Lifecycle. L3: S3 has no cold storage (feature availability page)."""
    if delete_after is not None and not 1 <= delete_after <= LONGEST:
        yield _error("L1", field, f"must be 1 to {LONGEST} days, found {delete_after}")
    if cold_after is not None:
        if delete_after is not None and delete_after < cold_after + 90:
            text = f"must be at least 90 days after cold storage = {cold_after + 90}, found {delete_after}"
            yield _error("L2", field, text)
        yield _error(
            "L3", field, f"cold storage after {cold_after} days: S3 backups have no cold storage; leave it out"
        )


def continuous(rule: Rule) -> Iterator[Problem]:
    """P1, P2, P5. Source: AWS Backup guide, point-in-time-recovery and point-in-time-recovery-retention-period."""
    days = rule.delete_after_days
    if days is None or not 1 <= days <= LONGEST_CONTINUOUS:
        found = "none" if days is None else days
        text = f"a continuous backup is kept 1 to {LONGEST_CONTINUOUS} days, found {found}; use dailyDays for longer"
        yield _error("P1", rule.field, text)
        return
    if rule.cold_after_days is not None:
        yield _error("P2", rule.field, "a continuous backup cannot move to cold storage; leave it out")
    try:
        gap = cron.longest_gap(cron.parse(rule.schedule))
    except ValueError:
        return
    if gap is None or timedelta(days=days) <= gap:
        every = "less than once a year" if gap is None else f"up to {gap.days or 1} days apart"
        text = f"{days} days is not longer than the rule's interval ({every}): the backup would expire; keep it longer"
        yield _error("P5", rule.field, text)


def one_continuous_rule(rules: Sequence[Rule], field: str) -> Iterator[Problem]:
    """P3. Source: AWS Backup guide, point-in-time-recovery."""
    count = sum(rule.continuous for rule in rules)
    if count != 1:
        yield _error("P3", field, f"a bucket needs exactly one continuous rule, found {count}")


def one_vault(vaults: Iterable[str], field: str) -> Iterator[Problem]:
    """P4: continuous and periodic backups of a bucket share a vault. Source: AWS Backup guide, s3-backups."""
    names = sorted(set(vaults))
    if len(names) > 1:
        yield _error("P4", field, f"all rules of a bucket must use one vault, found {len(names)}: {', '.join(names)}")


def bucket_ready(*, versioning: str, event_bridge: bool, field: str = "bucket") -> Iterator[Problem]:
    """P6. Source: AWS Backup guide, s3-backups and point-in-time-recovery-stopping."""
    if versioning != "Enabled":
        found = versioning or "never enabled"
        yield _error("P6", field, f"versioning must be Enabled, found {found}; without it there is nothing to restore")
    if not event_bridge:
        yield _error(
            "P6", field, "EventBridge notifications are off; the continuous backup stops without them; turn them on"
        )


def history_kept(before: int | None, after: int | None, field: str) -> Iterator[Problem]:
    """P7, days a continuous backup is kept. Source: AWS Backup guide, point-in-time-recovery-stopping. The plan's name,
    which ends it too, is fixed."""
    if before != after:
        stops = "stops the present continuous backup: a new one starts empty, and the old one stays until it ends"
        yield _warning("P7", field, f"changing it from {before} to {after} {stops}")


def recovery_point_objective(minutes: int | None) -> Iterator[Problem]:
    """P8. Source: AWS Backup guide, point-in-time-recovery."""
    if minutes is not None and minutes < LAG_MINUTES:
        text = (
            f"{minutes} min cannot be promised: a continuous backup lags {LAG_MINUTES} min; write {LAG_MINUTES} or more"
        )
        yield _error("P8", "demands.rpoMinutes", text)


def overlaps(rules: Sequence[Rule]) -> Iterator[Problem]:
    """O1: where start windows of two snapshot rules meet, AWS Backup takes only the one kept longer, and says nothing.
    Source: AWS Backup guide, plan-options-and-configuration (overlapping rules)."""
    fires: list[tuple[Rule, list[datetime]]] = []
    for rule in rules:
        if not rule.continuous:
            try:
                fires.append((rule, cron.year_of_fires(cron.parse(rule.schedule))))
            except ValueError:
                continue
    for index, (first, first_fires) in enumerate(fires):
        for second, second_fires in fires[index + 1 :]:
            met = _first_meeting(first, first_fires, second, second_fires)
            if met:
                lost, kept = sorted((first, second), key=lambda r: r.delete_after_days or LONGEST + 1)
                text = (
                    f"start windows of {first.name} and {second.name} overlap ({met:%a %d %b %H:%M}): AWS Backup then "
                    f"takes only {kept.name} and silently drops {lost.name}; move it {lost.start_window_minutes} min"
                )
                yield _warning("O1", f"schedule.{lost.name}", text)


def copies(rules: Sequence[Rule], second_region: str | None, region: str) -> Iterator[Problem]:
    """C1: a copy without its own lifecycle is kept for years (hashicorp/terraform-provider-aws#37862), so each has one
    here. Refused: nothing to copy, and a copy in the bucket's own Region."""
    if second_region is None:
        return
    if not re.fullmatch(r"[a-z]{2}(-[a-z]+)+-\d", second_region):
        yield _error("C1", "secondRegion.region", f"{second_region!r} is no Region; write for example eu-central-1")
    if second_region == region:
        yield _error("C1", "secondRegion.region", f"{second_region} is the bucket's own Region; name another one")
    if not any(rule.copy_days is not None for rule in rules):
        text = "nothing to copy: a continuous backup cannot be copied as such; set retention.dailyDays too"
        yield _error("C1", "secondRegion", text)


def counts(rules: int, copies_per_rule: int, tags: int, field: str) -> Iterator[Problem]:
    """C2. Source: AWS Backup guide, aws-backup-limits."""
    for count, most, what in ((rules, 10, "rules a plan"), (copies_per_rule, 5, "copies a rule"), (tags, 10, "tags")):
        if count > most:
            yield _error("C2", field, f"AWS Backup allows {most} {what}, found {count}")


def lock_bounds(lock: Lock) -> Iterator[Problem]:
    """K1. Days. Source: AWS Backup API reference, PutBackupVaultLockConfiguration."""
    field = "vault.lock"
    if lock.min_days < 1:
        yield _error("K1", f"{field}.minDays", f"must be at least 1, found {lock.min_days}")
    if lock.max_days > LONGEST:
        yield _error("K1", f"{field}.maxDays", f"must be at most {LONGEST}, found {lock.max_days}")
    if lock.min_days > lock.max_days:
        text = f"must be at least minDays = {lock.min_days}, found {lock.max_days}"
        yield _error("K1", f"{field}.maxDays", text)
    if lock.mode == "compliance":
        if lock.cooling_off_days is None:
            text = (
                "missing; compliance needs 3 to 36500 days in which the lock can still be removed, write for example 14"
            )
            yield _error("K1", f"{field}.coolingOffDays", text)
        elif not 3 <= lock.cooling_off_days <= LONGEST:
            yield _error("K1", f"{field}.coolingOffDays", f"must be 3 to {LONGEST}, found {lock.cooling_off_days}")
    elif lock.cooling_off_days is not None:
        text = f"found {lock.cooling_off_days}, which would make this a compliance lock; leave it out for governance"
        yield _error("K1", f"{field}.coolingOffDays", text)


def within_lock(days: int | None, lock: Lock, field: str) -> Iterator[Problem]:
    """K2: a job whose retention lies outside the lock's bounds fails. Source: AWS Backup guide, vault-lock."""
    if days is not None and days < 1:
        return
    if days is None:
        yield _error("K2", field, f"never expires, but the vault's lock allows {lock.max_days} days at most")
    elif not lock.min_days <= days <= lock.max_days:
        text = (
            f"{days} days lies outside the vault lock's {lock.min_days} to {lock.max_days}: every such job would fail"
        )
        yield _error("K2", field, text)


def lock_mode(lock: Lock, vault: str, *, throw_away: bool) -> Iterator[Problem]:
    """K3: compliance is for ever, so the vault's own name (and with it the stack's) must be typed."""
    field = "vault.lock"
    if lock.mode not in ("governance", "compliance"):
        yield _error("K3", f"{field}.mode", f"must be governance or compliance, found {lock.mode!r}")
    if lock.mode == "compliance" and throw_away:
        yield _error(
            "K3", f"{field}.mode", "compliance in a stack with throwAway: nobody could ever delete it; use governance"
        )
    if lock.mode == "compliance" and lock.confirm != vault:
        found = "missing" if lock.confirm is None else f"found {lock.confirm!r}"
        text = (
            f"compliance can be undone by nobody, AWS included; to confirm, write the vault's name {vault!r} ({found})"
        )
        yield _error("K3", f"{field}.confirm", text)


def air_gapped(min_days: int, field: str) -> Iterator[Problem]:
    """K4. Source: AWS Backup API reference, CreateLogicallyAirGappedBackupVault."""
    if min_days < 7:
        yield _error("K4", field, f"a logically air-gapped vault keeps at least 7 days, found {min_days}")


def tiering(after_days: int, longest_retention: int | None, field: str) -> Iterator[Problem]:
    """T1. Days. Source: AWS Backup guide, backup-tiering."""
    if not 60 <= after_days <= LONGEST:
        yield _error("T1", field, f"must be 60 to {LONGEST} days, found {after_days}")
    elif longest_retention is not None and longest_retention <= after_days:
        text = f"nothing is kept longer than {longest_retention} days, so nothing would move after {after_days}"
        yield _warning("T1", field, text)


def transitions(storage_classes: Iterable[str], field: str) -> Iterator[Problem]:
    """B1, B2: AWS Backup skips archived objects (ministryofjustice/modernisation-platform#12696, #10069)."""
    for storage_class in storage_classes:
        if storage_class in ARCHIVE_CLASSES:
            text = f"archived objects are skipped by backups; leave the transition to {storage_class} out"
            yield _error("B1", field, text)
        elif storage_class == "INTELLIGENT_TIERING_ARCHIVE":
            yield _warning("B2", field, "archive tiers of Intelligent-Tiering may take objects out of the backup")


def noncurrent_expiry(days: int | None, continuous_days: int | None) -> Iterator[Problem]:
    """B3: every version is backed up until it expires, so versions kept for ever are paid for twice for ever.
    Source: AWS Backup guide, s3-backups."""
    field = "retention.versionDays"
    if days is None:
        yield _warning("B3", field, "versions are kept for ever, in the bucket and in the backup: the cost only grows")
    elif days < 1:
        yield _error("B3", field, f"must be 1 or more days, or forever, found {days}")
    elif continuous_days is not None and days < continuous_days:
        text = f"{days} is less than pointInTimeDays {continuous_days}: older seconds come back from the backup only"
        yield _warning("B3", field, text)


def force_destroy(*, wanted: bool, throw_away: bool, field: str) -> Iterator[Problem]:
    """B4: it deletes every version or recovery point. Source: provider documentation of bucket and vault."""
    if wanted and not throw_away:
        yield _error(
            "B4", field, "force_destroy deletes everything that is stored; only a stack with throwAway may have it"
        )


def acls(*, ownership: str, restore_acls: bool, field: str = "bucket") -> Iterator[Problem]:
    """B5: a job that restores ACLs into a bucket without ACLs fails. Source: AWS Backup guide, restoring-s3."""
    if ownership != "BucketOwnerEnforced":
        yield _error("B5", field, f"ownership must be BucketOwnerEnforced (no ACLs), found {ownership}")
    elif restore_acls:
        yield _error("B5", field, "ACLs cannot be restored into a bucket without ACLs; restoreACLs must be false")


def short_retention(days: int | None, field: str) -> Iterator[Problem]:
    """R1: below a week AWS may have to take full backups. Source: AWS Backup guide, metering-and-billing."""
    if days is not None and 1 <= days < 7:
        yield _warning("R1", field, f"{days} days may force full backups and cost more than 7; write 7 or more")


def selection(arns: Sequence[str], field: str) -> Iterator[Problem]:
    """A1: an empty selection takes everything in the account. Source: AWS Backup API reference, BackupSelection."""
    if not arns:
        yield _error("A1", field, "the selection is empty, which would back up every resource of the account")
    for arn in arns:
        if "*" in arn[:-1]:
            yield _error("A1", field, f"{arn}: a wildcard may only stand at the end")
    wild = any(arn.endswith("*") for arn in arns)
    most = 30 if wild else 500
    if len(arns) > most:
        yield _error(
            "A1", field, f"AWS Backup takes {most} ARNs {'with' if wild else 'without'} wildcards, found {len(arns)}"
        )


def key_outlives_lock(*, locked: bool, customer_key: bool) -> Iterator[Problem]:
    """A lock does not protect the key: without the key the recovery points are unreadable. Source: AWS Backup guide,
    vault-lock; practice of nationalarchives/terraform-aws-immutable-aws-backup."""
    if locked and customer_key:
        text = "the lock does not protect a customer key: without the key every backup is unreadable; aws is safer"
        yield _warning("K5", "vault.encryption", text)


def emails(addresses: Iterable[str]) -> Iterator[Problem]:
    """Source: SNS API reference, Subscribe (an e-mail endpoint is an e-mail address, subscribed once)."""
    seen: set[str] = set()
    for address in addresses:
        if address != SECRET and address in seen:
            yield _error("E1", "alertEmails", f"{address!r} stands twice; write it once")
        seen.add(address)
        if address != SECRET and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
            yield _error(
                "E1", "alertEmails", f"{address!r} is no e-mail address; write for example ml-oncall@example.com"
            )


def bucket_name(name: str | None) -> Iterator[Problem]:
    """Source: S3 User Guide, bucketnamingrules. Taking over replaces what the bucket had of these settings."""
    if name is None:
        return
    if not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", name):
        yield _error("N4", "bucket.adopt", f"{name!r} is no bucket name: 3 to 63 lower-case letters, digits, . or -")
    else:
        text = f"the policy, lifecycle rules and notifications of {name} are replaced by the store's; save them first"
        yield _warning("N4", "bucket.adopt", text)


def restore_test_windows(start_hours: int, selection_days: int, validation_hours: int) -> Iterator[Problem]:
    """Source: AWS Backup API reference, RestoreTestingPlanForCreate and RestoreTestingSelectionForCreate; the provider
    wants at least one hour of validation."""
    for value, most, name in (
        (start_hours, 168, "startWindowHours"),
        (selection_days, 365, "selectionWindowDays"),
        (validation_hours, 168, "validationWindowHours"),
    ):
        if not 1 <= value <= most:
            yield _error("N5", f"restoreTest.{name}", f"must be 1 to {most}, found {value}")


def check(design: Design) -> list[Problem]:
    """Every problem of a design, errors and warnings, in the order of the config."""
    found: list[Problem] = []
    throw_away = not design.protected
    for rule in design.rules:
        found += plan_name(rule.name, rule.field)
        found += schedule(rule.schedule, f"schedule.{rule.name}")
        found += (
            continuous(rule) if rule.continuous else lifecycle(rule.delete_after_days, rule.cold_after_days, rule.field)
        )
        found += short_retention(rule.delete_after_days, rule.field)
        if rule.copy_days is not None and rule.copy_days != rule.delete_after_days:
            found += lifecycle(rule.copy_days, None, "secondRegion.keepDays")
    first = design.rules[0]
    if design.bucket.noncurrent_days != design.continuous.delete_after_days:
        found += noncurrent_expiry(design.bucket.noncurrent_days, design.continuous.delete_after_days)
    found += timezone(first.timezone, "schedule.timezone")
    too_wide = list(windows(first.start_window_minutes, first.completion_window_minutes, "schedule"))
    found += too_wide
    found += one_continuous_rule(design.rules, "retention")
    if not any(problem.severity == "error" for problem in too_wide):
        found += overlaps(design.rules)
    found += copies(design.rules, design.second_region, design.region)
    found += counts(len(design.rules), 1 if design.second_region else 0, 0, "retention")
    found += vault_name(design.vault.name, "stack name")
    found += plan_name(design.plan_name, "stack name")
    found += bucket_name(design.bucket.adopt)
    found += force_destroy(wanted=design.bucket.force_destroy, throw_away=throw_away, field="bucket")
    found += force_destroy(wanted=design.vault.force_destroy, throw_away=throw_away, field="vault")
    if design.bucket.deny_version_deletion and design.bucket.force_destroy:
        text = "true in a stack with throwAway: the bucket could not be emptied on destroy; leave one of them out"
        found.append(_error("B4", "bucket.denyVersionDeletion", text))
    if lock := design.vault.lock:
        found += lock_mode(lock, design.vault.name, throw_away=throw_away)
        found += lock_bounds(lock)
        for rule in design.rules:
            found += within_lock(rule.delete_after_days, lock, rule.field)
            if rule.copy_days is not None and rule.copy_days != rule.delete_after_days:
                found += within_lock(rule.copy_days, lock, "secondRegion.keepDays")
    found += key_outlives_lock(locked=design.vault.lock is not None, customer_key=design.vault.customer_key)
    if test := design.restore_test:
        found += name_without_hyphen(test.name, "stack name", "restore test")
        found += schedule(test.schedule, "restoreTest.schedule")
        found += restore_test_windows(test.start_window_hours, test.selection_window_days, test.validation_window_hours)
    found += emails(design.alert_emails)
    found += recovery_point_objective(design.rpo_minutes)
    return list(dict.fromkeys(found))


def _first_meeting(
    first: Rule, first_fires: Sequence[datetime], second: Rule, second_fires: Sequence[datetime]
) -> datetime | None:
    """The first time at which both start windows are open; both lists are in order."""
    one, two = timedelta(minutes=first.start_window_minutes), timedelta(minutes=second.start_window_minutes)
    i = j = 0
    while i < len(first_fires) and j < len(second_fires):
        a, b = first_fires[i], second_fires[j]
        if a < b + two and b < a + one:
            return max(a, b)
        if a < b:
            i += 1
        else:
            j += 1
    return None


def _error(rule: str, field: str, message: str) -> Problem:
    return Problem(rule, "error", field, message)


def _warning(rule: str, field: str, message: str) -> Problem:
    return Problem(rule, "warning", field, message)
