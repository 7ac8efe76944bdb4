"""What a stack will be made of, as plain values: what `rules` checks, `promise` reads and the components build.

Owns the step from config to design. Checks nothing, makes no resource and knows no engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from artifact_store.config import PROJECT, StoreConfig

Mode = Literal["governance", "compliance"]


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule of the backup plan. Windows in minutes; retentions in days; delete_after_days None = never."""

    name: str
    field: str
    """The config field that sets the retention, for messages."""
    schedule: str
    timezone: str
    start_window_minutes: int
    completion_window_minutes: int
    delete_after_days: int | None
    continuous: bool = False
    copy_days: int | None = None
    """Retention of the copy in the second Region; None = no copy."""


@dataclass(frozen=True, kw_only=True)
class Bucket:
    adopt: str | None
    customer_key: bool
    deny_version_deletion: bool
    noncurrent_days: int | None
    """Days a version is kept after it stopped being current; None = for ever."""
    abort_uploads_days: int
    force_destroy: bool


@dataclass(frozen=True, kw_only=True)
class Lock:
    mode: Mode
    min_days: int
    max_days: int
    cooling_off_days: int | None
    confirm: str | None


@dataclass(frozen=True, kw_only=True)
class Vault:
    name: str
    customer_key: bool
    lock: Lock | None
    force_destroy: bool


@dataclass(frozen=True, kw_only=True)
class RestoreTest:
    name: str
    schedule: str
    timezone: str
    start_window_hours: int
    selection_window_days: int
    validation_window_hours: int


@dataclass(frozen=True, kw_only=True)
class Design:
    """A whole store. `protected`: bucket, vaults and keys survive `pulumi destroy` and removal from the program."""

    stack: str
    region: str
    protected: bool
    bucket: Bucket
    vault: Vault
    plan_name: str
    rules: tuple[Rule, ...]
    second_region: str | None
    restore_test: RestoreTest | None
    alert_emails: tuple[str, ...]
    secret_emails: bool = False
    """Whether the addresses are encrypted in the stack file, and so in the state."""
    rpo_minutes: int | None
    keep_days: int | None

    @property
    def continuous(self) -> Rule:
        return next(rule for rule in self.rules if rule.continuous)


def build(config: StoreConfig, stack: str, region: str) -> Design:
    """Pure. Plan and vault get fixed names: a renamed plan would stop the continuous backup, and a compliance lock is
    confirmed by typing the vault's name."""
    name = f"{PROJECT}-{stack}"
    lock = config.vault.lock
    return Design(
        stack=stack,
        region=region,
        protected=not config.throw_away,
        bucket=Bucket(
            adopt=config.bucket.adopt,
            customer_key=config.bucket.encryption == "SSE-KMS",
            deny_version_deletion=config.bucket.deny_version_deletion,
            noncurrent_days=_version_days(config),
            abort_uploads_days=config.bucket.abort_uploads_days,
            force_destroy=config.throw_away and config.bucket.adopt is None,
        ),
        vault=Vault(
            name=name,
            customer_key=config.vault.encryption == "customer",
            lock=Lock(**lock.model_dump()) if lock else None,
            force_destroy=config.throw_away,
        ),
        plan_name=name,
        rules=_rules(config),
        second_region=config.second_region.region if config.second_region else None,
        restore_test=_restore_test(config, stack),
        alert_emails=config.alert_emails,
        rpo_minutes=config.demands.rpo_minutes,
        keep_days=config.demands.keep_days,
    )


def _version_days(config: StoreConfig) -> int | None:
    days = config.retention.version_days
    if days is None:
        return config.retention.point_in_time_days
    return None if days == "forever" else days


def _rules(config: StoreConfig) -> tuple[Rule, ...]:
    retention, schedule, second = config.retention, config.schedule, config.second_region

    def rule(name: str, field: str, when: str, days: int, *, continuous: bool = False) -> Rule:
        copy_days = None
        if second and not continuous:
            copy_days = days if second.keep_days is None else second.keep_days
        return Rule(
            name=name,
            field=f"retention.{field}",
            schedule=when,
            timezone=schedule.timezone,
            start_window_minutes=schedule.start_window_minutes,
            completion_window_minutes=schedule.completion_window_minutes,
            delete_after_days=days,
            continuous=continuous,
            copy_days=copy_days,
        )

    rules = [rule("continuous", "pointInTimeDays", schedule.continuous, retention.point_in_time_days, continuous=True)]
    for name, when, days in (
        ("daily", schedule.daily, retention.daily_days),
        ("weekly", schedule.weekly, retention.weekly_days),
        ("monthly", schedule.monthly, retention.monthly_days),
    ):
        if days is not None:
            rules.append(rule(name, f"{name}Days", when, days))
    return tuple(rules)


def _restore_test(config: StoreConfig, stack: str) -> RestoreTest | None:
    test = config.restore_test
    if test is None:
        return None
    name = f"{PROJECT}_{stack}".replace("-", "_").replace(".", "_")
    return RestoreTest(name=name, timezone=config.schedule.timezone, **test.model_dump())
