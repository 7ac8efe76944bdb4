"""A stack's config: types, unknown keys, all faults at once; and every rule of the validation table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pulumi
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from artifact_store import config, design, promise, rules, stack
from artifact_store.errors import ConfigError
from tests.recorder import PROJECT
from tests.test_readme import fields

REGION = {"aws:region": "eu-central-1"}
FULL: dict[str, Any] = {
    **REGION,
    "retention": {"pointInTimeDays": 35, "dailyDays": 90, "weeklyDays": 365, "monthlyDays": 2555},
    "vault": {"lock": {"mode": "governance", "minDays": 7, "maxDays": 2555}},
    "secondRegion": {"region": "eu-west-1"},
    "restoreTest": {"schedule": "cron(0 16 ? * MON *)"},
    "alertEmails": ["oncall@example.com"],
    "demands": {"rpoMinutes": 15, "keepDays": 2555},
}


def faults(raw: dict[str, Any], name: str = "prod") -> list[str]:
    """Faults without the "stack NAME: " that each starts with."""
    with pytest.raises(ConfigError) as error:
        stack.check(raw, name)
    assert all(fault.startswith(f"stack {name}: ") for fault in error.value.faults)
    return [fault.removeprefix(f"stack {name}: ") for fault in error.value.faults]


def warnings(raw: dict[str, Any]) -> list[str]:
    return stack.check(raw, "prod")[1]


def with_(path: str, value: Any, raw: dict[str, Any] = FULL) -> dict[str, Any]:
    """`raw` with one dotted field set."""
    head, _, rest = path.partition(".")
    inner = raw.get(head)
    inner = inner if isinstance(inner, dict) else {}
    return {**raw, head: with_(rest, value, inner) if rest else value}


def test_a_full_config_is_accepted_without_a_warning() -> None:
    store, told = stack.check(FULL, "prod")
    assert told == []
    assert [(r.name, r.delete_after_days, r.copy_days) for r in store.rules] == [
        ("continuous", 35, None),
        ("daily", 90, 90),
        ("weekly", 365, 365),
        ("monthly", 2555, 2555),
    ]
    assert (store.plan_name, store.vault.name, store.protected) == ("artifact-store-prod", "artifact-store-prod", True)


def test_versions_are_kept_as_long_as_the_promise_needs() -> None:
    assert stack.check(FULL, "prod")[0].bucket.noncurrent_days == 35
    assert stack.check(with_("retention.versionDays", 60), "prod")[0].bucket.noncurrent_days == 60
    assert stack.check(with_("retention.versionDays", "forever"), "prod")[0].bucket.noncurrent_days is None


def test_protection_is_the_default_and_loss_is_asked_for() -> None:
    kept = stack.check({**REGION, "retention": {"pointInTimeDays": 7}}, "x-1")[0]
    gone = stack.check({**REGION, "retention": {"pointInTimeDays": 7}, "throwAway": True}, "x-1")[0]
    assert (kept.protected, kept.bucket.force_destroy, kept.vault.force_destroy) == (True, False, False)
    assert (gone.protected, gone.bucket.force_destroy, gone.vault.force_destroy) == (False, True, True)


def test_an_adopted_bucket_is_never_emptied() -> None:
    raw = {**REGION, "retention": {"pointInTimeDays": 7}, "throwAway": True, "bucket": {"adopt": "old-models"}}
    assert stack.check(raw, "dev")[0].bucket.force_destroy is False


def test_all_faults_are_reported_at_once_those_of_types_and_those_of_rules() -> None:
    raw = {
        "retention": {"pointInTimeDays": 36, "dialyDays": 3, "weeklyDays": "1"},
        "throwAway": "yes",
        "demands": {"rpoMinutes": 5},
    }
    assert faults(raw) == [
        'throwAway: must be true or false, found "yes"',
        'retention.weeklyDays: must be a whole number, found "1"',
        "retention.dialyDays: unknown key; did you mean dailyDays? (known here: pointInTimeDays, dailyDays, weeklyDays, "
        "monthlyDays, versionDays)",
        "aws:region: missing; write the bucket's Region, for example `aws:region: eu-central-1`",
        "retention.pointInTimeDays: a continuous backup is kept 1 to 35 days, found 36; use dailyDays for longer",
        "demands.rpoMinutes: 5 min cannot be promised: a continuous backup lags 15 min; write 15 or more",
    ]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (
            {},
            [
                "retention: missing; write for example `artifact-store:retention: {pointInTimeDays: 35}` (days each kind of "
                "copy is kept) in the stack file"
            ],
        ),
        (
            {"retention": 35},
            [
                "retention: must be a block of keys, found 35; write for example `retention: {pointInTimeDays: 35}`",
            ],
        ),
        (
            {"retention": {}},
            [
                "retention.pointInTimeDays: missing; write for example `pointInTimeDays: 35` (1 to 35) under retention",
            ],
        ),
        (
            with_("bucket", None),
            ["bucket: must be a block of keys, found null; write its keys below it, or leave it out"],
        ),
        (
            with_("bucket", {"str": 5, "1": 2}),
            [
                f"bucket.{key}: unknown key (known here: adopt, encryption, denyVersionDeletion, abortUploadsDays)"
                for key in ("str", "1")
            ],
        ),
        (
            with_("retention.none[0]", 5),
            [
                "retention.none[0]: unknown key (known here: pointInTimeDays, dailyDays, weeklyDays, monthlyDays, versionDays)",
            ],
        ),
        (
            with_("alertEmails", [None, "a@b.c", 5]),
            [f"alertEmails[{i}]: must be a text, found {v}" for i, v in ((0, "null"), (2, "5"))],
        ),
        ({"retention": {"pointInTimeDays": 7.5}}, ["retention.pointInTimeDays: must be a whole number, found 7.5"]),
        ({"retention": {"pointInTimeDays": True}}, ["retention.pointInTimeDays: must be a whole number, found true"]),
        (
            with_("retention.versionDays", "always"),
            ['retention.versionDays: must be a whole number of days, or forever, found "always"'],
        ),
        (
            with_("vault.lock.mode", "goverance"),
            ["vault.lock.mode: must be 'governance' or 'compliance', found \"goverance\""],
        ),
        (with_("alertEmails", "a@b.c"), ['alertEmails: must be a list, found "a@b.c"']),
        (
            with_("vault.lock", {"mode": "governance", "minDays": 1}),
            ["vault.lock.maxDays: missing; write for example `maxDays: 2555` (1 to 36500) under vault.lock"],
        ),
        (
            with_("secondRegion", {"keepDays": 3}),
            [
                "secondRegion.region: missing; write for example `region: eu-west-1` (not the bucket's own) under secondRegion"
            ],
        ),
    ],
)
def test_wrong_types_and_missing_keys_are_named(raw: dict[str, Any], expected: list[str]) -> None:
    assert faults({**REGION, **raw}) == expected


def test_a_config_cannot_be_changed_after_it_was_read() -> None:
    read = config.parse({"retention": {"pointInTimeDays": 7}, "vault": FULL["vault"]})[0]
    blocks: list[Any] = [read, read.retention, read.schedule, read.bucket, read.vault, read.vault.lock, read.demands]
    for block in blocks:
        for name in type(block).model_fields:
            with pytest.raises(ValidationError, match="frozen"):
                setattr(block, name, 1)


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.dates(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["none", "int", "a.b", "[0]", "", "str"]), inner, max_size=2),
    max_leaves=4,
)  # fmt: skip
PATHS = [path for path, _ in fields(config.StoreConfig)]


@given(
    st.dictionaries(st.sampled_from([*PATHS, "retention", "vault.lock", "bucket", "bucket.int"]), ANYTHING, max_size=4)
)
@settings(deadline=None, max_examples=50)
def test_any_config_is_read_or_refused_in_own_words_with_every_fault_in_one_line(values: dict[str, Any]) -> None:
    """Takes 4 s: fifty configs, each checked whole."""
    raw = FULL
    for path, value in values.items():
        raw = with_(path, value, raw)
    try:
        stack.check(raw, "prod")
    except ConfigError as error:
        for fault in error.faults:
            assert "\n" not in fault
            assert "is not valid, found" not in fault


def test_a_whole_number_may_be_written_with_a_point() -> None:
    assert stack.check(with_("retention.dailyDays", 90.0), "prod")[0].rules[1].delete_after_days == 90


def test_demands_are_judged_with_other_faults_but_not_on_a_faulty_retention() -> None:
    other = with_("bucket.adopt", "My_Models", with_("demands.keepDays", 3000))
    assert [fault.split(": ")[0] for fault in faults(other)] == ["bucket.adopt", "demands.keepDays"]
    assert faults(with_("retention.monthlyDays", "x", other)) == [
        'retention.monthlyDays: must be a whole number, found "x"',
        "bucket.adopt: 'My_Models' is no bucket name: 3 to 63 lower-case letters, digits, . or -, a letter or digit at both ends and beside each .",
    ]


def test_a_fault_that_only_follows_from_another_is_not_told() -> None:
    raw = {**REGION, "retention": {"pointInTimeDays": 7, "dailyDays": "9"}, "secondRegion": {"region": "eu-west-1"}}
    assert faults(raw) == ['retention.dailyDays: must be a whole number, found "9"']


@pytest.mark.parametrize(
    ("region", "told"),
    [(None, "missing"), (5, "must be a text, found 5")],
)
def test_a_region_that_is_no_text_is_told_from_a_missing_one(region: Any, told: str) -> None:
    assert faults({**FULL, "aws:region": region}) == [
        f"aws:region: {told}; write the bucket's Region, for example `aws:region: eu-central-1`"
    ]


def rule_ids(raw: dict[str, Any], severity: str) -> list[str]:
    values = dict(raw)
    region = values.pop("aws:region")
    store = design.build(config.parse(values)[0], "prod", region)
    return [p.id for p in rules.check(store) if p.severity == severity]


RULES: list[tuple[str, str, Any, str]] = [
    ("S1", "schedule.daily", "rate(1 day)", "schedule.daily: 'rate(1 day)' is not cron( with 6 fields ); write for example cron(0 5 ? * * *)"),
    ("S1", "restoreTest.schedule", "cron(0 5 * * * *)", "restoreTest.schedule: 'cron(0 5 * * * *)' needs ? in exactly one of day-of-month and day-of-week; write for example cron(0 5 ? * * *)"),
    ("S2", "schedule.continuous", "cron(0/30 * ? * * *)", "schedule.continuous: cron(0/30 * ? * * *) fires every 30 min; AWS Backup starts a rule once an hour at most"),
    ("S3", "schedule.weekly", "", "schedule.weekly: missing; every rule needs a schedule, write for example cron(0 5 ? * * *)"),
    ("S4", "schedule.timezone", "Mars/Base", "schedule.timezone: 'Mars/Base' is no IANA time zone; write for example Etc/UTC or Europe/Berlin"),
    ("W1", "schedule.startWindowMinutes", 30, "schedule.startWindowMinutes: must be 60 to 52560000, found 30"),
    ("W1", "schedule.startWindowMinutes", 52_560_001, "schedule.startWindowMinutes: must be 60 to 52560000, found 52560001"),
    ("W2", "schedule.completionWindowMinutes", 10**12, "schedule.completionWindowMinutes: must be at most 52560000, found 1000000000000"),
    ("W2", "schedule.completionWindowMinutes", 150, "schedule.completionWindowMinutes: must be at least startWindowMinutes + 60 = 180, found 150"),
    ("L1", "retention.dailyDays", 0, "retention.dailyDays: must be 1 to 36500 days, found 0"),
    ("P1", "retention.pointInTimeDays", 0, "retention.pointInTimeDays: a continuous backup is kept 1 to 35 days, found 0; use dailyDays for longer"),
    ("P5", "schedule.continuous", "cron(0 12 1 1/2 ? *)", "schedule.continuous: cron(0 12 1 1/2 ? *) fires up to 62 days apart: what is kept 35 days would expire in between; let it fire more often"),
    ("S1", "schedule.daily", "cron(0 12 ? * * 2020)", "schedule.daily: cron(0 12 ? * * 2020) fires only in some years; write * as its year"),
    ("S1", "schedule.continuous", "cron(0 12 ? * * 2026-2198)", "schedule.continuous: cron(0 12 ? * * 2026-2198) fires only in some years; write * as its year"),
    ("S1", "restoreTest.schedule", "cron(0/30 12 ? * * 2027)", "restoreTest.schedule: cron(0/30 12 ? * * 2027) fires only in some years; write * as its year"),
    ("S2", "schedule.monthly", "cron(0 8 30 2 ? *)", "schedule.monthly: cron(0 8 30 2 ? *) fires less than once a year; write for example cron(0 5 ? * * *)"),
    ("S2", "schedule.continuous", "cron(0 8 29 2 ? *)", "schedule.continuous: cron(0 8 29 2 ? *) fires less than once a year; write for example cron(0 5 ? * * *)"),
    ("S4", "schedule.timezone", "localtime", "schedule.timezone: 'localtime' is no IANA time zone; write for example Etc/UTC or Europe/Berlin"),
    ("L1", "bucket.abortUploadsDays", 0, "bucket.abortUploadsDays: must be 1 to 36500 days, found 0"),
    ("L1", "bucket.abortUploadsDays", 36_501, "bucket.abortUploadsDays: must be 1 to 36500 days, found 36501"),
    ("P9", "demands.keepDays", -4, "demands.keepDays: must be 1 or more, found -4"),
    ("N6", "aws:region", "Ireland", "aws:region: 'Ireland' is no Region of AWS Backup; write for example eu-central-1"),
    ("N6", "aws:region", "", "aws:region: '' is no Region of AWS Backup; write for example eu-central-1"),
    ("N6", "secondRegion.region", "us-wset-2", "secondRegion.region: 'us-wset-2' is no Region of AWS Backup; did you mean us-west-2?"),
    ("C1", "secondRegion.region", "cn-north-1", "secondRegion.region: cn-north-1 is in the partition aws-cn and the bucket's eu-central-1 in aws; name one of aws: AWS Backup copies nothing between partitions"),
    ("P8", "demands.rpoMinutes", 1, "demands.rpoMinutes: 1 min cannot be promised: a continuous backup lags 15 min; write 15 or more"),
    ("C1", "secondRegion.region", "eu-central-1", "secondRegion.region: eu-central-1 is the bucket's own Region; name another one"),
    ("N6", "secondRegion.region", "Ireland", "secondRegion.region: 'Ireland' is no Region of AWS Backup; write for example eu-central-1"),
    ("K1", "vault.lock.minDays", 0, "vault.lock.minDays: must be at least 1, found 0"),
    ("K1", "vault.lock.maxDays", 40_000, "vault.lock.maxDays: must be at most 36500, found 40000"),
    ("K1", "vault.lock.coolingOffDays", 3, "vault.lock.coolingOffDays: found 3, which would make this a compliance lock; leave it out for governance"),
    ("K2", "retention.pointInTimeDays", 5, "retention.pointInTimeDays: 5 days lies outside the vault lock's 7 to 2555: every such job would fail"),
    ("K2", "secondRegion.keepDays", 3, "secondRegion.keepDays: 3 days lies outside the vault lock's 7 to 2555: every such job would fail"),
    ("B3", "retention.versionDays", 0, "retention.versionDays: must be 1 to 36500 days, or forever, found 0"),
    ("B3", "retention.versionDays", 36_501, "retention.versionDays: must be 1 to 36500 days, or forever, found 36501"),
    ("N4", "bucket.adopt", "My_Models", "bucket.adopt: 'My_Models' is no bucket name: 3 to 63 lower-case letters, digits, . or -, a letter or digit at both ends and beside each ."),
    ("N5", "restoreTest.selectionWindowDays", 366, "restoreTest.selectionWindowDays: must be 1 to 365, found 366"),
    ("N5", "restoreTest.validationWindowHours", 0, "restoreTest.validationWindowHours: must be 1 to 168, found 0"),
    ("N5", "restoreTest.startWindowHours", 169, "restoreTest.startWindowHours: must be 1 to 168, found 169"),
    ("E1", "alertEmails", ["oncall"], "alertEmails: 'oncall' is no e-mail address; write for example ml-oncall@example.com"),
    ("E1", "alertEmails", ["a@example.com", "b@example.com", "a@example.com"], "alertEmails: 'a@example.com' stands twice; write it once"),
    ("keep", "demands.keepDays", 3000, "demands.keepDays: 3000 days demanded, but nothing is kept longer than 2555 days; raise retention"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "expected"), RULES, ids=[f"{r[0]}-{r[1]}" for r in RULES])
def test_what_aws_would_refuse_is_refused_at_preview(name: str, path: str, value: Any, expected: str) -> None:
    raw = with_(path, value)
    assert faults(raw) == [expected]
    assert rule_ids(raw, "error") == ([] if name == "keep" else [name])


WARNINGS: list[tuple[str, str, Any, str]] = [
    ("W3", "schedule.completionWindowMinutes", 600, "schedule.completionWindowMinutes: 600 min is short for a bucket of models: a longer job ends EXPIRED; write 1440 or more"),
    ("O1", "schedule.weekly", "cron(30 2 ? * SUN *)", "schedule.daily: start windows of daily and weekly overlap (Sun 02 Jan 02:30): AWS Backup then takes only weekly and silently drops daily; start it at least 120 min from every other"),
    ("B3", "retention.versionDays", "forever", "retention.versionDays: versions are kept for ever, in the bucket and in the backup: the cost only grows"),
    ("B3", "retention.versionDays", 10, "retention.versionDays: 10 is less than pointInTimeDays 35: older seconds come back from the backup only"),
    ("K5", "vault.encryption", "customer", "vault.encryption: the lock does not protect a customer key: without the key every backup is unreadable; aws is safer"),
    ("N4", "bucket.adopt", "old-models", "bucket.adopt: the policy, lifecycle rules and notifications of old-models are replaced by the store's; save them first"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "path", "value", "expected"), WARNINGS, ids=[f"{w[0]}-{w[2]}" for w in WARNINGS])
def test_what_costs_or_loses_something_is_warned_of(name: str, path: str, value: Any, expected: str) -> None:
    raw = with_(path, value)
    assert warnings(raw) == [expected]
    assert rule_ids(raw, "warning") == [name]


@pytest.mark.parametrize(
    ("first", "second", "meet"), [(181, 60, True), (180, 60, False), (60, 1261, True), (60, 1260, False)]
)
def test_start_windows_meet_where_the_earlier_one_is_still_open_when_the_later_one_opens(
    first: int, second: int, meet: bool
) -> None:
    """Daily at 1:00 and weekly at 4:00 on Sundays: 3 hours apart, and 21 to the next daily one."""
    daily, weekly = stack.check(FULL, "prod")[0].rules[1:3]
    found = rules.overlaps([replace(daily, start_window_minutes=first), replace(weekly, start_window_minutes=second)])
    assert [p.field for p in found] == (["schedule.daily"] if meet else [])


def test_names_that_replace_what_they_name_depend_on_the_stack_alone() -> None:
    small = stack.check({**REGION, "retention": {"pointInTimeDays": 7}, "throwAway": True}, "prod")[0]
    full = stack.check(FULL, "prod")[0]
    assert (small.plan_name, small.vault.name) == (full.plan_name, full.vault.name)
    assert [rule.name for rule in full.rules][:1] == [rule.name for rule in small.rules]


def test_short_retention_is_warned_of() -> None:
    assert warnings({**REGION, "retention": {"pointInTimeDays": 3}}) == [
        "retention.pointInTimeDays: 3 days may force full backups and cost more than 7; write 7 or more"
    ]


def test_a_second_region_needs_a_snapshot_to_copy() -> None:
    raw = {**REGION, "retention": {"pointInTimeDays": 7}, "secondRegion": {"region": "eu-west-1"}}
    assert faults(raw) == [
        "secondRegion: nothing to copy: a continuous backup cannot be copied as such; set retention.dailyDays too"
    ]


class TestComplianceLock:
    lock: ClassVar = {
        "mode": "compliance",
        "minDays": 7,
        "maxDays": 2555,
        "coolingOffDays": 14,
        "confirm": "artifact-store-prod",
    }

    def test_is_accepted_with_the_vaults_name_typed(self) -> None:
        assert stack.check(with_("vault.lock", self.lock), "prod")[0].vault.lock == design.Lock(
            mode="compliance", min_days=7, max_days=2555, cooling_off_days=14, confirm="artifact-store-prod"
        )

    @pytest.mark.parametrize(
        ("typed", "found"),
        [(None, "missing"), ("yes", "found 'yes'"), ("artifact-store-dev", "found 'artifact-store-dev'")],
    )
    def test_is_refused_without_the_exact_name(self, typed: str | None, found: str) -> None:
        assert faults(with_("vault.lock", {**self.lock, "confirm": typed})) == [
            "vault.lock.confirm: compliance can be undone by nobody, AWS included; to confirm, write the vault's name "
            f"'artifact-store-prod' ({found})"
        ]

    def test_copied_to_another_stack_it_is_refused_there(self) -> None:
        assert faults(with_("vault.lock", self.lock), "staging") == [
            "vault.lock.confirm: compliance can be undone by nobody, AWS included; to confirm, write the vault's name "
            "'artifact-store-staging' (found 'artifact-store-prod')"
        ]

    @pytest.mark.parametrize(("days", "expected"), [
        (None, "missing; compliance needs 3 to 36500 days in which the lock can still be removed, write for example 14"),
        (2, "must be 3 to 36500, found 2"),
    ])  # fmt: skip
    def test_needs_a_cooling_off_time(self, days: int | None, expected: str) -> None:
        assert faults(with_("vault.lock", {**self.lock, "coolingOffDays": days})) == [
            f"vault.lock.coolingOffDays: {expected}"
        ]

    def test_is_refused_in_a_throw_away_stack(self) -> None:
        raw = {**with_("vault.lock", self.lock), "throwAway": True}
        assert faults(raw) == [
            "vault.lock.mode: compliance in a stack with throwAway: nobody could ever delete it; use governance"
        ]


def test_a_stack_name_that_makes_a_bad_vault_name_is_refused() -> None:
    long = "x" * 40
    assert faults({**REGION, "retention": {"pointInTimeDays": 7}}, long) == [
        f"stack name: vault name 'artifact-store-{long}' must be 2 to 50 letters, digits, - or _; it has 55",
    ]


def test_a_stack_name_with_a_dot_is_refused_for_the_dot() -> None:
    assert faults({**REGION, "retention": {"pointInTimeDays": 7}}, "a.b") == [
        "stack name: vault name 'artifact-store-a.b' must be 2 to 50 letters, digits, - or _; '.' is none of them",
    ]


def test_a_continuous_backup_of_a_day_needs_more_than_a_daily_schedule() -> None:
    raw = {**REGION, "retention": {"pointInTimeDays": 1}}
    assert faults(raw) == [
        "schedule.continuous: cron(0 12 ? * * *) fires up to 24 h apart: what is kept 1 day would expire in between; let "
        "it fire more often"
    ]
    twice = {**raw, "schedule": {"continuous": "cron(0 0/12 ? * * *)"}}
    assert stack.check(twice, "prod")[0].continuous.delete_after_days == 1


def test_a_schedule_is_checked_before_its_retention_puts_it_to_use() -> None:
    raw = {**REGION, "retention": {"pointInTimeDays": 7}, "schedule": {"weekly": "often"}}
    assert faults(raw) == [
        "schedule.weekly: 'often' is not cron( with 6 fields ); write for example cron(0 5 ? * * *)",
    ]


@pytest.mark.parametrize("name", ["a..b", "a.-b", "-ab", "ab-", "ab", "x" * 64, "a_b", "Models"])
def test_a_name_that_no_bucket_can_have_is_not_adopted(name: str) -> None:
    [fault] = faults(with_("bucket.adopt", name))
    assert fault.startswith(f"bucket.adopt: {name!r} is no bucket name: 3 to 63 lower-case letters")


@pytest.mark.parametrize("name", ["192.168.5.4", "xn--abc", "models-s3alias", "models--ol-s3", "models.mrap"])
def test_a_name_that_s3_keeps_for_itself_is_not_adopted(name: str) -> None:
    assert faults(with_("bucket.adopt", name)) == [
        f"bucket.adopt: {name!r} is no bucket name: S3 keeps such names for itself"
    ]


@pytest.mark.parametrize("name", ["abc", "a.b-c.d", "1.2.3", "x" * 63, "192.168.5.4.models"])
def test_a_name_that_a_bucket_can_have_is_adopted(name: str) -> None:
    assert stack.check(with_("bucket.adopt", name), "prod")[0].bucket.adopt == name


def test_every_region_is_in_one_partition() -> None:
    known = rules.regions()
    assert {known[r] for r in ("eu-central-1", "us-west-2")} == {"aws"}
    assert (known["cn-north-1"], known["us-gov-west-1"]) == ("aws-cn", "aws-us-gov")


def test_a_throw_away_bucket_cannot_deny_its_own_emptying() -> None:
    raw = {**REGION, "retention": {"pointInTimeDays": 7}, "throwAway": True, "bucket": {"denyVersionDeletion": True}}
    assert faults(raw, "dev") == [
        "bucket.denyVersionDeletion: true in a stack with throwAway: the bucket could not be emptied on destroy; leave one "
        "of them out"
    ]


def lines(found: Any) -> list[tuple[str, str, str]]:
    return [(p.id, p.severity, p.line) for p in found]


class TestRulesThatNoConfigCanBreakToday:
    """The components build these right; the same rules judge buckets and plans that others made."""

    def test_names(self) -> None:
        assert [p.id for p in rules.vault_name("a b", "f")] == ["N1"]
        assert list(rules.vault_name("ab", "f")) == []
        assert lines(rules.plan_name("a b", "f")) == [
            ("N2", "error", "f: name 'a b' must be 1 to 50 letters, digits, -, _ or .; it has 3")
        ]
        assert list(rules.plan_name("a.b", "f")) == []
        assert [p.id for p in rules.name_without_hyphen("a-b", "f", "framework")] == ["N3"]
        assert [p.id for p in rules.name_without_hyphen("1a", "f", "framework")] == ["N3"]
        assert list(rules.name_without_hyphen("1a", "f", "tiering")) == []
        assert [p.id for p in rules.name_without_hyphen("x" * 51, "f", "restore test")] == ["N3"]

    def test_cold_storage(self) -> None:
        assert lines(rules.cold_storage(90, 30, "f", continuous=True)) == [
            ("P2", "error", "f: a continuous backup cannot move to cold storage; leave it out"),
            ("L2", "error", "f: must be at least 90 days after cold storage = 120, found 90"),
            ("L3", "error", "f: cold storage after 30 days: S3 backups have no cold storage; leave it out"),
        ]
        assert [p.id for p in rules.cold_storage(120, 30, "f", continuous=False)] == ["L3"]
        assert list(rules.cold_storage(90, None, "f", continuous=True)) == []

    def test_retention_may_be_for_ever_but_for_a_continuous_backup(self) -> None:
        assert list(rules.lifecycle(None, "f")) == []
        assert lines(rules.continuous(None, "f")) == [
            ("P1", "error", "f: a continuous backup is kept 1 to 35 days, found none; use dailyDays for longer")
        ]

    def test_one_continuous_rule_and_one_vault(self) -> None:
        rule = stack.check(FULL, "prod")[0].continuous
        assert lines(rules.one_continuous_rule([rule, rule], "f")) == [
            ("P3", "error", "f: a bucket needs exactly one continuous rule, found 2")
        ]
        assert [p.id for p in rules.one_continuous_rule([], "f")] == ["P3"]
        assert lines(rules.one_vault(["b", "a", "a"], "f")) == [
            ("P4", "error", "f: all rules of a bucket must use one vault, found 2: a, b")
        ]

    def test_bucket_is_ready(self) -> None:
        assert list(rules.bucket_ready(versioning="Enabled", event_bridge=True)) == []
        assert lines(rules.bucket_ready(versioning="", event_bridge=False)) == [
            (
                "P6",
                "error",
                "bucket: versioning must be Enabled, found never enabled; without it there is nothing to restore",
            ),
            (
                "P6",
                "error",
                "bucket: EventBridge notifications are off; the continuous backup stops without them; turn them on",
            ),
        ]

    def test_what_ends_the_present_continuous_backup_is_warned_of(self) -> None:
        assert list(rules.history_kept(35, 35, "f")) == []
        assert lines(rules.history_kept(35, 30, "f")) == [
            ("P7", "warning", "f: changing it from 35 to 30 stops the present continuous backup: a new one starts empty, and the old one stays until it ends")
        ]  # fmt: skip

    def test_another_key_of_a_vault_is_warned_of(self) -> None:
        assert list(rules.points_kept("aws", "aws", "f")) == []
        assert lines(rules.points_kept("aws", "customer", "f")) == [
            (
                "K6",
                "warning",
                "f: changing it from aws to customer replaces the vault and deletes every recovery point in it",
            )
        ]

    def test_counts(self) -> None:
        assert list(rules.counts(10, 5, 10, "f")) == []
        assert [p.message for p in rules.counts(11, 6, 11, "f")] == [
            "AWS Backup allows 10 rules a plan, found 11",
            "AWS Backup allows 5 copies a rule, found 6",
            "AWS Backup allows 10 tags, found 11",
        ]

    def test_lock_and_never_expiring_points(self) -> None:
        lock = design.Lock(mode="governance", min_days=1, max_days=10, cooling_off_days=None, confirm=None)
        assert lines(rules.within_lock(None, lock, "f")) == [
            ("K2", "error", "f: never expires, but the vault's lock allows 10 days at most")
        ]
        assert [p.id for p in rules.air_gapped(6, "f")] == ["K4"]
        assert list(rules.air_gapped(7, "f")) == []

    def test_tiering(self) -> None:
        assert [p.severity for p in rules.tiering(59, 365, "f")] == ["error"]
        assert [p.severity for p in rules.tiering(60, 60, "f")] == ["warning"]
        assert list(rules.tiering(60, 365, "f")) == []
        assert list(rules.tiering(60, None, "f")) == []

    def test_archive_classes(self) -> None:
        found = lines(rules.transitions(["STANDARD_IA", "GLACIER", "INTELLIGENT_TIERING_ARCHIVE"], "f"))
        assert [(p[0], p[1]) for p in found] == [("B1", "error"), ("B2", "warning")]

    def test_force_destroy_and_acls(self) -> None:
        assert [p.id for p in rules.force_destroy(wanted=True, throw_away=False, field="f")] == ["B4"]
        assert list(rules.force_destroy(wanted=True, throw_away=True, field="f")) == []
        assert [p.id for p in rules.acls(ownership="ObjectWriter", restore_acls=True)] == ["B5"]
        assert [p.id for p in rules.acls(ownership="BucketOwnerEnforced", restore_acls=True)] == ["B5"]
        assert list(rules.acls(ownership="BucketOwnerEnforced", restore_acls=False)) == []

    def test_selection(self) -> None:
        assert [p.id for p in rules.selection([], "f")] == ["A1"]
        assert list(rules.selection(["arn:aws:s3:::models-*"], "f")) == []
        assert [p.id for p in rules.selection(["arn:aws:s3:::*-logs"], "f")] == ["A1"]
        assert [p.id for p in rules.selection([f"arn:aws:s3:::b{i}-*" for i in range(31)], "f")] == ["A1"]
        assert list(rules.selection([f"arn:aws:s3:::b{i}" for i in range(500)], "f")) == []


class TestPromise:
    def test_rows_go_from_the_quickest_way_back_to_the_one_that_survives_most(self) -> None:
        rows = promise.promise(stack.check(FULL, "prod")[0])
        assert [(r.what, r.granularity, r.how_far_back_days, r.how_fresh_minutes, r.where) for r in rows] == [
            ("any key, from its S3 versions", "any second", 35, 0, "the bucket, eu-central-1"),
            ("the bucket, continuous backup", "any second", 35, 15, "vault artifact-store-prod, eu-central-1"),
            ("the bucket, daily snapshot", "every 24 h", 90, 11_520, "vault artifact-store-prod, eu-central-1"),
            ("the bucket, weekly snapshot", "every 7 days", 365, 20_160, "vault artifact-store-prod, eu-central-1"),
            ("the bucket, monthly snapshot", "every 31 days", 2555, 54_720, "vault artifact-store-prod, eu-central-1"),
            ("the bucket, daily snapshot, copied", "every 24 h", 90, 11_520, "vault artifact-store-prod, eu-west-1"),
            ("the bucket, weekly snapshot, copied", "every 7 days", 365, 20_160, "vault artifact-store-prod, eu-west-1"),
            ("the bucket, monthly snapshot, copied", "every 31 days", 2555, 54_720, "vault artifact-store-prod, eu-west-1"),
        ]  # fmt: skip

    def test_freshness_in_words_is_that_in_minutes(self) -> None:
        rows = promise.promise(stack.check(FULL, "prod")[0])
        assert [row.how_fresh for row in rows[:5]] == [
            "now",
            "15 min ago",
            "24 h to 8 days ago",
            "7 days to 14 days ago",
            "31 days to 38 days ago",
        ]

    def test_only_copies_survive_the_loss_of_the_region(self) -> None:
        rows = promise.promise(stack.check(FULL, "prod")[0])
        assert [row.what.endswith("copied") for row in rows] == ["a lost eu-central-1" in row.survives for row in rows]

    def test_deletion_of_backups_is_survived_only_with_a_lock(self) -> None:
        locked = promise.promise(stack.check(FULL, "prod")[0])
        open_ = promise.promise(stack.check({**REGION, "retention": {"pointInTimeDays": 7}}, "prod")[0])
        assert "deleted backups (governance lock)" in locked[1].survives
        assert "deleted backups" not in open_[1].survives

    def test_a_copy_with_its_own_retention_promises_that(self) -> None:
        rows = promise.promise(stack.check(with_("secondRegion.keepDays", 30), "prod")[0])
        assert [row.how_far_back_days for row in rows if row.what.endswith("copied")] == [30, 30, 30]

    def test_exports_are_plain_camel_case(self) -> None:
        row = promise.promise(stack.check({**REGION, "retention": {"pointInTimeDays": 7}}, "dev")[0])[1]
        assert row.export() == {
            "what": "the bucket, continuous backup",
            "granularity": "any second",
            "howFarBack": "7 days",
            "howFresh": "15 min ago",
            "where": "vault artifact-store-dev, eu-central-1",
            "survives": "overwrites, deletes, lost versions, a lost bucket",
            "howFarBackDays": 7,
            "howFreshMinutes": 15,
        }


class TestStackFiles:
    def write(self, folder: Path, text: str) -> Path:
        (folder / "Pulumi.dev.yaml").write_text(text)
        return folder

    def test_reads_what_the_engine_would_hand_over(self, tmp_path: Path) -> None:
        text = "config:\n  aws:region: eu-west-1\n  artifact-store:retention: {pointInTimeDays: 7}\n"
        store, told = stack.of_files(self.write(tmp_path, text), "dev")
        assert (store.region, store.continuous.delete_after_days, told) == ("eu-west-1", 7, [])

    def test_an_encrypted_address_needs_no_key_to_read_the_promise(self, tmp_path: Path) -> None:
        text = "config:\n  aws:region: eu-west-1\n  artifact-store:retention: {pointInTimeDays: 7}\n  artifact-store:alertEmails:\n    - secure: AAABADQ\n"
        assert stack.of_files(self.write(tmp_path, text), "dev")[0].alert_emails == ("(secret)",)

    def test_a_missing_stack_file_names_those_that_exist(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError) as error:
            stack.of_files(self.write(tmp_path, ""), "prod")
        assert error.value.faults == ("stack 'prod': Pulumi.prod.yaml does not exist; stacks here: dev",)

    @pytest.mark.parametrize(("text", "expected"), [
        ("config: [1", "Pulumi.dev.yaml line 1: expected ',' or ']', but got '<stream end>'"),
        ("- 1\n", "Pulumi.dev.yaml: must be a mapping of keys, found [1]"),
        ("config: 7\n", "Pulumi.dev.yaml: config: must be a mapping of keys, found 7"),
        ("config: [1]\n", "Pulumi.dev.yaml: config: must be a mapping of keys, found [1]"),
        ("word\n", 'Pulumi.dev.yaml: must be a mapping of keys, found "word"'),
        ("config:\n  1: 2\n", "Pulumi.dev.yaml line 2: the key 1 is no text; write it in quotes"),
        ("config:\n  a: {true: 2}\n", "Pulumi.dev.yaml line 2: the key True is no text; write it in quotes"),
        ("config:\n  ? [1]\n  : 2\n", "Pulumi.dev.yaml line 2: the key [1] is no text; write it in quotes"),
        ("config:\n  a: 1\n  a: 2\n", "Pulumi.dev.yaml line 3: the key a stands twice"),
        ("config:\n  a: &a [*a]\n", "Pulumi.dev.yaml: nested too deeply, or refers to itself"),
        ("config: " + "[" * 1000 + "]" * 1000, "Pulumi.dev.yaml: nested too deeply, or refers to itself"),
        ("config: \x00", "Pulumi.dev.yaml: unacceptable character #x0000: special characters are not allowed in \"<unicode string>\", position 8"),
    ], ids=lambda text: text[:24])  # fmt: skip
    def test_a_malformed_stack_file_is_one_line_that_says_where(self, tmp_path: Path, text: str, expected: str) -> None:
        with pytest.raises(ConfigError) as error:
            stack.of_files(self.write(tmp_path, text), "dev")
        assert error.value.faults == (expected,)

    def test_dates_and_yes_are_texts_as_they_are_to_the_engine(self, tmp_path: Path) -> None:
        text = "config:\n  artifact-store:throwAway: yes\n  artifact-store:2026-01-01: 2026-01-01\n"
        assert config.from_files(self.write(tmp_path, text), "dev") == {
            "throwAway": "yes",
            "2026-01-01": "2026-01-01",
            "aws:region": None,
        }

    def test_what_the_stack_file_leaves_out_comes_from_the_project_file(self, tmp_path: Path) -> None:
        (tmp_path / "Pulumi.yaml").write_text(
            "config:\n  aws:region: {value: eu-west-1}\n  retention: {type: object, default: {pointInTimeDays: 9}}\n"
            "  throwAway: {type: boolean}\n  demands:\n    value: {keepDays: 3}\n"
        )
        self.write(tmp_path, "config:\n  artifact-store:demands: {keepDays: 4}\n")
        assert config.from_files(tmp_path, "dev") == {
            "aws:region": "eu-west-1",
            "retention": {"pointInTimeDays": 9},
            "demands": {"keepDays": 4},
        }

    def test_a_whole_list_that_is_encrypted_is_refused_as_the_engine_does(self, tmp_path: Path) -> None:
        text = "config:\n  aws:region: eu-west-1\n  artifact-store:retention: {pointInTimeDays: 7}\n  artifact-store:alertEmails:\n    secure: AAABADQ\n"
        with pytest.raises(ConfigError) as error:
            stack.of_files(self.write(tmp_path, text), "dev")
        assert error.value.faults == ('stack dev: alertEmails: must be a list, found "(secret)"',)

    def test_files_and_engine_hand_over_the_same_for_every_stack(self) -> None:
        """What the engine hands over are texts: those that `pulumi config set` writes too."""
        for name in ("dev", "prod"):
            values = config.stack_values(PROJECT, name)
            pulumi.runtime.set_all_config({key: config.engine_text(value) for key, value in values.items()}, [])
            assert config.from_engine() == (config.from_files(PROJECT, name), frozenset())

    def test_what_pulumi_config_set_writes_is_read_as_the_engine_reads_it(self, tmp_path: Path) -> None:
        text = "config:\n  aws:region: eu-west-1\n  artifact-store:retention: {pointInTimeDays: 7}\n  artifact-store:throwAway: 'true'\n"
        assert stack.of_files(self.write(tmp_path, text), "dev")[0].protected is False
