"""What AWS accepts and what keeps the promise: pure checks, each with its source.

Each function looks at plain values and yields problems: an error is refused at preview, a warning is shown. `check`
applies to a design those that a design can break; the others judge buckets, plans and vaults that others made. Limits
that AWS does not check itself, or checks only half-way through an update, are here so that they are found first.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from ipaddress import AddressValueError, IPv4Address
from typing import Literal
from zoneinfo import available_timezones

from artifact_store import cron
from artifact_store.config import LONGEST_CONTINUOUS, MASKED
from artifact_store.design import Design, Lock, Rule

LONGEST = 36_500
"""Days of retention, a hundred years (AWS Backup API reference, Lifecycle)."""
LONGEST_WINDOW = 52_560_000
"""Minutes of a start window, a hundred years (AWS Backup API reference, StartWindowMinutes)."""
LAG_MINUTES = 15
"""The newest restorable second of a continuous backup is this old (AWS Backup guide, point-in-time-recovery)."""
NO_PLACES = frozenset({"Factory", "localtime", "posixrules"})
"""Names in the time zone database that are no time zones."""
RESERVED_FIRST = ("xn--", "sthree-", "amzn-s3-demo-")
RESERVED_LAST = ("-s3alias", "--ol-s3", "--x-s3", "--table-s3", ".mrap", "-an")
"""S3 User Guide, bucketnamingrules."""
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
        strange = sorted(set(re.sub(r"[A-Za-z0-9_-]", "", name)))
        found = f"{strange[0]!r} is none of them" if strange else f"it has {len(name)}"
        yield _error("N1", field, f"vault name {name!r} must be 2 to 50 letters, digits, - or _; {found}")


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
    (hashicorp/terraform-provider-aws#22627). A backup that ends some year, or never comes, is no promise."""
    if not expression:
        yield _error("S3", field, f"missing; every rule needs a schedule, write for example {cron.EXAMPLE}")
        return
    try:
        parsed = cron.parse(expression)
    except ValueError as fault:
        yield _error("S1", field, str(fault))
        return
    gap = cron.shortest_gap(parsed)
    if not parsed.every_year:
        yield _error("S1", field, f"{expression} fires only in some years; write * as its year")
    elif gap is None:
        yield _error("S2", field, f"{expression} fires less than once a year; write for example {cron.EXAMPLE}")
    elif gap < timedelta(hours=1):
        minutes = int(gap.total_seconds() // 60)
        yield _error(
            "S2", field, f"{expression} fires every {minutes} min; AWS Backup starts a rule once an hour at most"
        )


def timezone(name: str, field: str) -> Iterator[Problem]:
    """Source: AWS Backup API reference, BackupRuleInput, ScheduleExpressionTimezone."""
    if name not in available_timezones() - NO_PLACES:
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


def lifecycle(days: int | None, field: str) -> Iterator[Problem]:
    """Days until something is deleted. L1: AWS Backup API reference, Lifecycle; S3 takes more, and nobody needs it."""
    if days is not None and not 1 <= days <= LONGEST:
        yield _error("L1", field, f"must be 1 to {LONGEST} days, found {days}")


def cold_storage(
    delete_after: int | None, cold_after: int | None, field: str, *, continuous: bool
) -> Iterator[Problem]:
    """Days. L2: AWS Backup API reference, Lifecycle. L3: S3 has no cold storage (feature availability page). P2: AWS
    Backup guide, point-in-time-recovery."""
    if cold_after is None:
        return
    if continuous:
        yield _error("P2", field, "a continuous backup cannot move to cold storage; leave it out")
    if delete_after is not None and delete_after < cold_after + 90:
        text = f"must be at least 90 days after cold storage = {cold_after + 90}, found {delete_after}"
        yield _error("L2", field, text)
    yield _error("L3", field, f"cold storage after {cold_after} days: S3 backups have no cold storage; leave it out")


def continuous(days: int | None, field: str) -> Iterator[Problem]:
    """P1. Source: AWS Backup guide, point-in-time-recovery."""
    if days is None or not 1 <= days <= LONGEST_CONTINUOUS:
        found = "none" if days is None else days
        text = f"a continuous backup is kept 1 to {LONGEST_CONTINUOUS} days, found {found}; use dailyDays for longer"
        yield _error("P1", field, text)


def continuous_interval(days: int | None, expression: str, field: str) -> Iterator[Problem]:
    """P5: of a valid schedule. Source: AWS Backup guide, point-in-time-recovery-retention-period."""
    gap = cron.longest_gap(cron.parse(expression))
    if days is not None and gap is not None and 1 <= days <= LONGEST_CONTINUOUS and timedelta(days=days) <= gap:
        apart = f"{gap.days} days" if gap.days > 1 else f"{gap.total_seconds() / 3600:.0f} h"
        kept = "1 day" if days == 1 else f"{days} days"
        text = f"{expression} fires up to {apart} apart: what is kept {kept} would expire in between"
        yield _error("P5", field, f"{text}; let it fire more often")


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
    """O1, of rules with valid schedules: where start windows of two snapshot rules meet, AWS Backup takes only the one
    kept longer, and says nothing. Source: AWS Backup guide, plan-options-and-configuration (overlapping rules)."""
    fires = [(rule, cron.year_of_fires(cron.parse(rule.schedule))) for rule in rules if not rule.continuous]
    for index, (first, first_fires) in enumerate(fires):
        for second, second_fires in fires[index + 1 :]:
            met = _first_meeting(first, first_fires, second, second_fires)
            if met:
                lost, kept = sorted((first, second), key=lambda r: r.delete_after_days or LONGEST + 1)
                text = (
                    f"start windows of {first.name} and {second.name} overlap ({met:%a %d %b %H:%M}): AWS Backup then "
                    f"takes only {kept.name} and silently drops {lost.name}; start it at least "
                    f"{max(first.start_window_minutes, second.start_window_minutes)} min from every other"
                )
                yield _warning("O1", f"schedule.{lost.name}", text)


def copies(rules: Sequence[Rule], second_region: str | None, region: str) -> Iterator[Problem]:
    """C1: a copy without its own lifecycle is kept for years (hashicorp/terraform-provider-aws#37862), so each has one
    here. Refused: nothing to copy, and a copy in the bucket's own Region or in another partition."""
    if second_region is None:
        return
    field = "secondRegion.region"
    yield from region_name(second_region, field)
    here, there = regions().get(region), regions().get(second_region)
    if second_region == region:
        yield _error("C1", field, f"{second_region} is the bucket's own Region; name another one")
    elif here and there and here != there:
        text = f"{second_region} is in the partition {there} and the bucket's {region} in {here}; name one of {here}"
        yield _error("C1", field, f"{text}: AWS Backup copies nothing between partitions")
    if not any(rule.copy_days is not None for rule in rules):
        text = "nothing to copy: a continuous backup cannot be copied as such; set retention.dailyDays too"
        yield _error("C1", "secondRegion", text)


@cache
def regions() -> Mapping[str, str]:
    """The partition of every Region that has AWS Backup, as the installed botocore knows them."""
    from botocore.session import Session

    session = Session()
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("backup", partition_name=partition)
    }


def region_name(name: str, field: str) -> Iterator[Problem]:
    """Source: AWS General Reference, AWS Backup endpoints, as botocore has them."""
    if name not in regions():
        near = difflib.get_close_matches(name, regions(), n=1)
        meant = f"did you mean {near[0]}?" if near else "write for example eu-central-1"
        yield _error("N6", field, f"{name!r} is no Region of AWS Backup; {meant}")


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
    elif not 1 <= days <= LONGEST:
        yield _error("B3", field, f"must be 1 to {LONGEST} days, or forever, found {days}")
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


def points_kept(before: str | None, after: str | None, field: str) -> Iterator[Problem]:
    """K6: another key needs another vault, and recovery points do not move. Source: AWS Backup API reference,
    CreateBackupVault (the key is set once)."""
    if before != after:
        text = f"changing it from {before} to {after} replaces the vault and deletes every recovery point in it"
        yield _warning("K6", field, text)


def emails(addresses: Iterable[str]) -> Iterator[Problem]:
    """Source: SNS API reference, Subscribe (an e-mail endpoint is an e-mail address, subscribed once)."""
    seen: set[str] = set()
    for address in addresses:
        if address != MASKED and address in seen:
            yield _error("E1", "alertEmails", f"{address!r} stands twice; write it once")
        seen.add(address)
        if address != MASKED and not re.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+", address):
            yield _error(
                "E1", "alertEmails", f"{address!r} is no e-mail address; write for example ml-oncall@example.com"
            )


def bucket_name(name: str | None) -> Iterator[Problem]:
    """Source: S3 User Guide, bucketnamingrules. Taking over replaces what the bucket had of these settings."""
    if name is None:
        return
    if not re.fullmatch(r"(?=.{3,63}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*", name):
        text = "3 to 63 lower-case letters, digits, . or -, a letter or digit at both ends and beside each ."
        yield _error("N4", "bucket.adopt", f"{name!r} is no bucket name: {text}")
    elif name.startswith(RESERVED_FIRST) or name.endswith(RESERVED_LAST) or _is_address(name):
        yield _error("N4", "bucket.adopt", f"{name!r} is no bucket name: S3 keeps such names for itself")
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


def demanded_days(days: int | None) -> Iterator[Problem]:
    """Nothing is promised for less than a day."""
    if days is not None and days < 1:
        yield _error("P9", "demands.keepDays", f"must be 1 or more, found {days}")


def check(design: Design) -> list[Problem]:
    """Every problem of a design, errors and warnings, each once."""
    return list(dict.fromkeys([*_of_rules(design), *_of_bucket_and_vault(design), *_of_the_rest(design)]))


def _of_rules(design: Design) -> Iterator[Problem]:
    firing = []
    for rule in design.rules:
        days, when = rule.delete_after_days, f"schedule.{rule.name}"
        wrong = list(schedule(rule.schedule, when))
        yield from wrong
        yield from continuous(days, rule.field) if rule.continuous else lifecycle(days, rule.field)
        if not wrong:
            firing.append(rule)
            yield from continuous_interval(days, rule.schedule, when) if rule.continuous else ()
        yield from short_retention(days, rule.field)
        if rule.copy_days is not None and rule.copy_days != days:
            yield from lifecycle(rule.copy_days, "secondRegion.keepDays")
    first = design.rules[0]
    yield from timezone(first.timezone, "schedule.timezone")
    too_wide = list(windows(first.start_window_minutes, first.completion_window_minutes, "schedule"))
    yield from too_wide
    if not any(problem.severity == "error" for problem in too_wide):
        yield from overlaps(firing)
    yield from copies(design.rules, design.second_region, design.region)


def _of_bucket_and_vault(design: Design) -> Iterator[Problem]:
    bucket, vault, throw_away = design.bucket, design.vault, not design.protected
    if bucket.noncurrent_days != design.continuous.delete_after_days:
        yield from noncurrent_expiry(bucket.noncurrent_days, design.continuous.delete_after_days)
    yield from bucket_name(bucket.adopt)
    yield from lifecycle(bucket.abort_uploads_days, "bucket.abortUploadsDays")
    if bucket.deny_version_deletion and bucket.force_destroy:
        text = "true in a stack with throwAway: the bucket could not be emptied on destroy; leave one of them out"
        yield _error("B4", "bucket.denyVersionDeletion", text)
    yield from vault_name(vault.name, "stack name")
    if lock := vault.lock:
        yield from lock_mode(lock, vault.name, throw_away=throw_away)
        yield from lock_bounds(lock)
        for rule in design.rules:
            yield from within_lock(rule.delete_after_days, lock, rule.field)
            if rule.copy_days is not None and rule.copy_days != rule.delete_after_days:
                yield from within_lock(rule.copy_days, lock, "secondRegion.keepDays")
    yield from key_outlives_lock(locked=vault.lock is not None, customer_key=vault.customer_key)


def _of_the_rest(design: Design) -> Iterator[Problem]:
    yield from region_name(design.region, "aws:region")
    if test := design.restore_test:
        yield from schedule(test.schedule, "restoreTest.schedule")
        yield from restore_test_windows(
            test.start_window_hours, test.selection_window_days, test.validation_window_hours
        )
    yield from emails(design.alert_emails)
    yield from recovery_point_objective(design.rpo_minutes)
    yield from demanded_days(design.keep_days)


def _is_address(name: str) -> bool:
    try:
        IPv4Address(name)
    except AddressValueError:
        return False
    return True


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
