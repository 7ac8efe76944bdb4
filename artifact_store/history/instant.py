"""The instant a user names, as seconds since the epoch.

Owns the forms that are understood: ISO 8601 with a zone, `@EPOCH`, and an age such as `90m`. Refuses a time without a
zone (it has two readings, and the wrong one restores the wrong model), fractions, and the future. What a text means is
read at once (`parse_moment`); which second that is, and whether it has been, is for the clock of the server whose times
it is compared with (`Moment.at`).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime

from artifact_store.errors import UsageError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
LAST = 253_402_300_800
"""The year 10000, of which no date can be shown."""
FORMS = "write 2026-05-04T13:30:00Z, 2026-05-04T15:30:00+02:00, @1777901400 or an age such as 90m, 2h, 7d"


class ZoneMissing(UsageError):
    """A time without a zone. text: as it was typed; readings: (whose zone, the same time with it), UTC first."""

    def __init__(self, text: str, readings: tuple[tuple[str, str], ...]) -> None:
        self.text, self.readings = text, readings
        choices = [f"{written} for {whose}" for whose, written in readings]
        if len(choices) == 1:
            choices.append("give the offset of another zone, as in +02:00")
        super().__init__(f"time {text!r} has no zone; write {', or '.join(choices)}")


@dataclass(frozen=True, slots=True)
class Moment:
    """What a text names: an age in seconds, or seconds since the epoch."""

    text: str
    seconds: int
    is_age: bool = False

    def at(self, now: float) -> float:
        """Whole seconds since the epoch. now: the clock it is judged by. Raises UsageError outside of 1970 to now."""
        return known(int(now) - self.seconds if self.is_age else self.seconds, now, f"time {self.text!r}")


def parse_moment(text: str) -> Moment:
    """What a text means, whatever the time is. Raises UsageError, in one line with an example."""
    word = text.strip()
    if match := re.fullmatch(r"([0-9]{1,9})([smhdw])", word):
        return Moment(text, int(match[1]) * UNITS[match[2]], is_age=True)
    if match := re.fullmatch(r"@([0-9]+)", word):
        # 11 digits reach the year 5138; what is longer counts something else than seconds.
        if len(match[1]) > 11:
            raise UsageError(f"time {text!r} is too large for seconds; write @ and seconds, as in @1777901400")
        return Moment(text, int(match[1]))
    return Moment(text, _iso(text, word))


def parse_instant(text: str, now: float) -> float:
    """Whole seconds since the epoch. now: seconds since the epoch. Raises UsageError, in one line with an example."""
    return parse_moment(text).at(now)


def known(instant: float, now: float, name: str) -> float:
    """The instant, if it can have been. Both in seconds since the epoch; name: for the message. Raises UsageError."""
    if not math.isfinite(instant):
        raise UsageError(f"{name} is no number of seconds since the epoch; {FORMS}")
    if instant < 0:
        raise UsageError(f"{name} lies before 1970; {FORMS}")
    if instant // 1 > now // 1:
        shown = f"{show(instant)}, " if instant < LAST else ""
        raise UsageError(
            f"{name} is {shown}in the future: the server's clock says {show(now)}; name a time that has been"
        )
    return float(instant)


def show(instant: float) -> str:
    """As ISO 8601 in UTC, whole seconds: the form that `parse_instant` reads back."""
    return datetime.fromtimestamp(int(instant // 1), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _iso(text: str, word: str) -> int:
    if re.fullmatch(r"[0-9]{1,2}[/.-][0-9]{1,2}[/.-][0-9]{2,4}.*", word):
        raise UsageError(f"time {text!r}: day and month cannot be told apart; {FORMS}")
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", word):
        raise UsageError(f"time {text!r} is a day, not a second; write for example {word}T00:00:00Z")
    match = re.fullmatch(
        r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}(?::[0-9]{2})?)([.,][0-9]+)?"
        r" *([Zz]|[+-][0-9]{2}(?::?[0-9]{2})?)?",
        word,
    )
    if match is None:
        raise UsageError(f"time {text!r} is not understood; {FORMS}")
    if match[3]:
        raise UsageError(f"time {text!r} has a fraction, but S3 counts whole seconds; leave {match[3]} out")
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{(match[4] or '').upper()}")
    except ValueError as error:
        # Of an offset Python speaks in terms of its own.
        reason = f"no zone is {match[4]} off" if "offset" in str(error) else str(error)
        raise UsageError(f"time {text!r}: {reason}; {FORMS}") from error
    if moment.tzinfo is None:
        raise ZoneMissing(text, _readings(moment))
    return int((moment - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def _readings(moment: datetime) -> tuple[tuple[str, str], ...]:
    written = moment.isoformat(timespec="seconds")
    try:
        local = moment.astimezone()
    except (OverflowError, ValueError, OSError):
        # Years that the C library's clock does not reach; such a time is refused whatever its zone.
        return (("UTC", f"{written}Z"),)
    offset = local.strftime("%z")
    zone = f"{offset[:3]}:{offset[3:5]}"
    if zone == "+00:00":
        return (("UTC (this machine's zone too)", f"{written}Z"),)
    return (("UTC", f"{written}Z"), (f"this machine's zone ({local.tzname()})", f"{written}{zone}"))
