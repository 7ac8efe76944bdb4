"""AWS schedules: what is understood, what is refused, and when they fire."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from artifact_store import cron


def fires(expression: str, start: str, end: str) -> list[str]:
    found = cron.parse(expression).fires(datetime.fromisoformat(start), datetime.fromisoformat(end))
    return [t.strftime("%Y-%m-%d %H:%M") for t in found]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 5 ? * * *)", ["2026-03-01 05:00", "2026-03-02 05:00"]),
        ("cron(30 0/12 ? * * *)", ["2026-03-01 00:30", "2026-03-01 12:30", "2026-03-02 00:30", "2026-03-02 12:30"]),
        ("cron(0 8 1 * ? *)", ["2026-03-01 08:00"]),
        ("cron(0 8 ? * SUN *)", ["2026-03-01 08:00"]),
        ("cron(0 8 ? * 2 *)", ["2026-03-02 08:00"]),
        ("cron(0 8 ? MAR MON-FRI 2026)", ["2026-03-02 08:00"]),
        ("cron(0 8 ? * SUN#1 *)", ["2026-03-01 08:00"]),
        ("cron(0 8 ? * SUN#2 *)", []),
        ("cron(0 8 1W * ? *)", ["2026-03-02 08:00"]),
        ("cron(0 8 ? APR * *)", []),
    ],
)
def test_fires_in_the_first_two_days_of_march_2026(expression: str, expected: list[str]) -> None:
    assert fires(expression, "2026-03-01", "2026-03-03") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("cron(0 0 L * ? *)", ["2026-02-28 00:00", "2026-03-31 00:00", "2026-04-30 00:00"]),
        ("cron(0 0 L-1 * ? *)", ["2026-02-27 00:00", "2026-03-30 00:00", "2026-04-29 00:00"]),
        ("cron(0 0 LW * ? *)", ["2026-02-27 00:00", "2026-03-31 00:00", "2026-04-30 00:00"]),
        ("cron(0 0 31W * ? *)", ["2026-02-27 00:00", "2026-03-31 00:00", "2026-04-30 00:00"]),
        ("cron(0 0 1W * ? *)", ["2026-02-02 00:00", "2026-03-02 00:00", "2026-04-01 00:00"]),
        ("cron(0 0 ? * 6L *)", ["2026-02-27 00:00", "2026-03-27 00:00", "2026-04-24 00:00"]),
        ("cron(0 0 15W * ? *)", ["2026-02-16 00:00", "2026-03-16 00:00", "2026-04-15 00:00"]),
    ],
)
def test_special_days_of_a_month(expression: str, expected: list[str]) -> None:
    assert fires(expression, "2026-02-01", "2026-05-01") == expected


def test_the_last_weekday_of_a_month_that_ends_on_a_sunday_is_the_friday_before() -> None:
    assert fires("cron(0 0 LW * ? *)", "2026-05-20", "2026-06-10") == ["2026-05-29 00:00"]


def test_the_first_weekday_of_a_month_that_begins_on_a_saturday_is_the_monday_after() -> None:
    assert fires("cron(0 0 1W * ? *)", "2026-07-30", "2026-08-10") == ["2026-08-03 00:00"]


def test_a_year_is_every_year_only_as_a_star_or_the_whole_range() -> None:
    assert [
        cron.parse(f"cron(0 0 ? * * {year})").every_year for year in ("*", "1970-2199", "2026", "1971-2199", "*/2")
    ] == [
        True,
        True,
        False,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("rate(1 day)", "is not cron( with 6 fields )"),
        ("cron(0 5 * * *)", "is not cron( with 6 fields )"),
        ("cron(0 5 * * * *)", "needs ? in exactly one of day-of-month and day-of-week"),
        ("cron(0 5 ? * ? *)", "needs ? in exactly one of day-of-month and day-of-week"),
        ("cron(60 5 ? * * *)", "60 is not a value of minutes, which goes from 0 to 59"),
        ("cron(0 24 ? * * *)", "24 is not a value of hours, which goes from 0 to 23"),
        ("cron(0 5 32 * ? *)", "32 is not a value of day-of-month, which goes from 1 to 31"),
        ("cron(0 5 ? 13 * *)", "13 is not a value of month, which goes from 1 to 12"),
        ("cron(0 5 ? * 8 *)", "8 is not a value of day-of-week, which goes from 1 to 7"),
        ("cron(0 5 ? * FOO#2 *)", "FOO is not a value of day-of-week, which goes from 1 to 7"),
        ("cron(0/0 5 ? * * *)", "0/0 is not valid in minutes; write for example cron(0 5 ? * * *)"),
        ("cron(10-5 5 ? * * *)", "10-5 in minutes goes backwards; write its values one by one, such as 10,5"),
        (
            "cron(0 5 ? * SAT-SUN *)",
            "SAT-SUN in day-of-week goes backwards; write its values one by one, such as SAT,SUN",
        ),
        ("cron(0 12 ² * ? *)", "² is not valid in day-of-month; write for example cron(0 5 ? * * *)"),
        ("cron(٣ 12 ? * * *)", "٣ is not valid in minutes; write for example cron(0 5 ? * * *)"),
        ("cron(0 12 L-٣ * ? *)", "L-٣ is not valid in day-of-month"),
        ("cron(0 12 L-32 * ? *)", "32 is not a value of day-of-month, which goes from 1 to 31"),
        ("cron(x 5 ? * * *)", "X is not a value of minutes, which goes from 0 to 59"),
        ("cron(0 5 ? * 8 *)", "8 is not a value of day-of-week, which goes from 1 to 7 or SUN to SAT"),
    ],
)
def test_a_bad_schedule_is_refused_with_its_own_text(expression: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=r"cron|rate") as error:
        cron.parse(expression)
    assert complaint in str(error.value)
    assert expression in str(error.value)


def test_gaps_are_those_of_the_whole_year() -> None:
    monthly = cron.parse("cron(0 8 1 * ? *)")
    assert cron.longest_gap(monthly) == timedelta(days=31)
    assert cron.shortest_gap(monthly) == timedelta(days=28)
    assert cron.longest_gap(cron.parse("cron(0 8 1 1 ? 2028)")) is None


@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=4),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=4),
    weekdays=st.sets(st.integers(1, 7), min_size=1, max_size=3),
)
@settings(deadline=None)
def test_lists_of_numbers_fire_on_exactly_their_products(
    minutes: set[int], hours: set[int], weekdays: set[int]
) -> None:
    """Against a naive reading: every minute of a week, asked one by one."""
    text = ",".join(map(str, sorted(minutes))), ",".join(map(str, sorted(hours))), ",".join(map(str, sorted(weekdays)))
    schedule = cron.parse(f"cron({text[0]} {text[1]} ? * {text[2]} *)")
    start = datetime(2026, 11, 1)
    every = [start + timedelta(minutes=i) for i in range(7 * 24 * 60)]
    sunday_first = {1: 6, 2: 0, 3: 1, 4: 2, 5: 3, 6: 4, 7: 5}
    days = {sunday_first[w] for w in weekdays}
    naive = [t for t in every if t.minute in minutes and t.hour in hours and t.weekday() in days]
    assert schedule.fires(start, start + timedelta(days=7)) == naive
