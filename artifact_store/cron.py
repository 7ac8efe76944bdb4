"""When an AWS schedule fires: parsing of `cron(minutes hours day-of-month month day-of-week year)`.

Owns the field syntax of EventBridge and AWS Backup schedules (`* , - / ? L W #`, names of months and days) and the
fire times of one year. Refuses `rate(...)`. Times are local to the schedule's own zone; daylight saving is ignored.
Source: EventBridge Scheduler guide, schedule-types (cron-based schedules).
"""

from __future__ import annotations

import calendar
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
FIELDS = (
    ("minutes", 0, 59, ()),
    ("hours", 0, 23, ()),
    ("day-of-month", 1, 31, ()),
    ("month", 1, 12, MONTHS),
    ("day-of-week", 1, 7, DAYS),
    ("year", 1970, 2199, ()),
)
EXAMPLE = "cron(0 5 ? * * *)"


@dataclass(frozen=True)
class Cron:
    """One parsed schedule. `days` and `weekdays` keep the special forms (L, 15W, 2#1) as text."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days: tuple[str, ...]
    months: frozenset[int]
    weekdays: tuple[str, ...]
    years: frozenset[int]

    @property
    def every_year(self) -> bool:
        return len(self.years) == 2199 - 1970 + 1

    def fires(self, start: datetime, end: datetime) -> list[datetime]:
        """Every fire time in start <= t < end, in order."""
        found = []
        day = start.replace(hour=0, minute=0, second=0, microsecond=0)
        while day < end:
            if day.year in self.years and day.month in self.months and self._on(day):
                times = (day.replace(hour=h, minute=m) for h in sorted(self.hours) for m in sorted(self.minutes))
                found += [t for t in times if start <= t < end]
            day += timedelta(days=1)
        return found

    def _on(self, day: datetime) -> bool:
        if self.days != ("?",):
            return any(_is_day_of_month(part, day) for part in self.days)
        return any(_is_weekday(part, day) for part in self.weekdays)


def parse(text: str) -> Cron:
    """Raises ValueError with one sentence that says what is wrong and shows an example."""
    match = re.fullmatch(r"cron\((.*)\)", text.strip())
    fields = match[1].split() if match else []
    if len(fields) != len(FIELDS):
        raise ValueError(f"{text!r} is not cron( with 6 fields ); write for example {EXAMPLE}")
    if (fields[2] == "?") == (fields[4] == "?"):
        raise ValueError(
            f"{text!r} needs ? in exactly one of day-of-month and day-of-week; write for example {EXAMPLE}"
        )
    parts = [tuple(field.upper().split(",")) for field in fields]
    for place in (2, 4):
        for part in parts[place]:
            _check_day_part(text, place, part)
    minutes, hours, months, years = (_numbers(text, place, parts[place]) for place in (0, 1, 3, 5))
    return Cron(minutes, hours, parts[2], months, parts[4], years)


def year_of_fires(cron: Cron) -> list[datetime]:
    """Fires from a leap year's first day to the end of the year after it: every month end and weekday occurs."""
    return cron.fires(datetime(2028, 1, 1), datetime(2029, 12, 31, 23, 59))  # noqa: DTZ001 - in the schedule's own zone


def longest_gap(cron: Cron) -> timedelta | None:
    """The longest time between two fires; None if it fires less than twice in two years."""
    fires = year_of_fires(cron)
    return max((b - a for a, b in pairwise(fires)), default=None)


def shortest_gap(cron: Cron) -> timedelta | None:
    """The shortest time between two fires; None if it fires less than twice in two years."""
    fires = year_of_fires(cron)
    return min((b - a for a, b in pairwise(fires)), default=None)


def _value(text: str, place: int, word: str) -> int:
    name, low, high, words = FIELDS[place]
    number = words.index(word) + 1 if word in words else int(word) if word.isascii() and word.isdecimal() else -1
    if not low <= number <= high:
        names = f" or {words[0]} to {words[-1]}" if words else ""
        raise ValueError(f"{text!r}: {word} is not a value of {name}, which goes from {low} to {high}{names}")
    return number


def _numbers(text: str, place: int, parts: tuple[str, ...]) -> frozenset[int]:
    name, low, high, _ = FIELDS[place]
    found: set[int] = set()
    for part in parts:
        match = re.fullmatch(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/0*([1-9]\d*))?", part, re.ASCII)
        if not match:
            raise ValueError(f"{text!r}: {part} is not valid in {name}; write for example {EXAMPLE}")
        first = low if match[1] else _value(text, place, match[2])
        last = high if match[1] or (match[4] and not match[3]) else _value(text, place, match[3] or match[2])
        if first > last:
            listed = f"{match[2]},{match[3]}"
            raise ValueError(
                f"{text!r}: {part} in {name} goes backwards; write its values one by one, such as {listed}"
            )
        found |= set(range(first, last + 1, int(match[4] or 1)))
    return frozenset(found)


def _check_day_part(text: str, place: int, part: str) -> None:
    special = r"\?|L|LW|L-\d+|\d+W" if place == 2 else r"\?|L|(\w+)L|(\w+)#[1-5]"
    if place == 2 and re.fullmatch(special, part, re.ASCII):
        digits = re.sub(r"\D", "", part)
        if digits:
            _value(text, place, digits)
        return
    if place == 4 and (match := re.fullmatch(special, part, re.ASCII)):
        if word := match[1] or match[2]:
            _value(text, place, word)
        return
    _numbers(text, place, (part,))


def _is_day_of_month(part: str, day: datetime) -> bool:
    last = calendar.monthrange(day.year, day.month)[1]
    if part == "L":
        return day.day == last
    if part.startswith("L-"):
        return day.day == last - int(part[2:])
    if part.endswith("W"):
        return day.day == _nearest_weekday(day, last if part == "LW" else int(part[:-1]), last)
    return day.day in _numbers(part, 2, (part,))


def _nearest_weekday(day: datetime, wanted: int, last: int) -> int:
    wanted = min(wanted, last)
    weekday = day.replace(day=wanted).weekday()
    if weekday == 5:
        return wanted - 1 if wanted > 1 else wanted + 2
    if weekday == 6:
        return wanted + 1 if wanted < last else wanted - 2
    return wanted


def _is_weekday(part: str, day: datetime) -> bool:
    number = day.isoweekday() % 7 + 1
    if part == "L":
        return number == 7
    if "#" in part:
        word, nth = part.split("#")
        return number == _value(part, 4, word) and (day.day - 1) // 7 + 1 == int(nth)
    if part.endswith("L"):
        last = calendar.monthrange(day.year, day.month)[1]
        return number == _value(part, 4, part[:-1]) and day.day > last - 7
    return number in _numbers(part, 4, (part,))
