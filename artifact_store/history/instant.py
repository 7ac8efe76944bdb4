"""The instant a user names, as seconds since the epoch.

Owns the forms that are understood: ISO 8601 with a zone, `@EPOCH`, and an age such as `90m`. Refuses a time without a
zone (it has two readings, and the wrong one restores the wrong model), fractions, and the future.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime

from artifact_store.errors import UsageError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}
FORMS = "write 2026-05-04T13:30:00Z, 2026-05-04T15:30:00+02:00, @1777901400 or an age such as 90m, 2h, 7d"


def parse_instant(text: str, now: float) -> float:
    """Whole seconds since the epoch. now: seconds since the epoch. Raises UsageError, in one line with an example."""
    word = text.strip()
    if match := re.fullmatch(r"(\d{1,9})([smhdw])", word):
        instant = int(now) - int(match[1]) * UNITS[match[2]]
    elif match := re.fullmatch(r"@(\d{1,12})", word):
        instant = int(match[1])
    else:
        instant = _iso(text, word)
    if instant > now:
        raise UsageError(
            f"time {text!r} is {show(instant)}, in the future (now is {show(now)}); name a time that has been"
        )
    if instant < 0:
        raise UsageError(f"time {text!r} lies before 1970; {FORMS}")
    return float(instant)


def show(instant: float) -> str:
    """As ISO 8601 in UTC, whole seconds: the form that `parse_instant` reads back."""
    return datetime.fromtimestamp(int(instant // 1), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _iso(text: str, word: str) -> int:
    if re.fullmatch(r"\d{1,2}[/.-]\d{1,2}[/.-]\d{2,4}.*", word):
        raise UsageError(f"time {text!r}: day and month cannot be told apart; {FORMS}")
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", word):
        raise UsageError(f"time {text!r} is a day, not a second; write for example {word}T00:00:00Z")
    match = re.fullmatch(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2}(?::\d{2})?)([.,]\d+)?\s*(Z|z|[+-]\d{2}:?\d{2})?", word)
    if match is None:
        raise UsageError(f"time {text!r} is not understood; {FORMS}")
    if match[3]:
        raise UsageError(f"time {text!r} has a fraction, but S3 counts whole seconds; leave {match[3]} out")
    try:
        moment = datetime.fromisoformat(f"{match[1]}T{match[2]}{(match[4] or '').upper()}")
    except ValueError as error:
        raise UsageError(f"time {text!r}: {error}; {FORMS}") from error
    if moment.tzinfo is None:
        raise UsageError(f"time {text!r} has no zone; {_readings(moment)}")
    return int(moment.timestamp())


def _readings(moment: datetime) -> str:
    written = moment.isoformat(timespec="seconds")
    local = moment.astimezone()
    offset = local.strftime("%z")
    zone = f"{offset[:3]}:{offset[3:5]}"
    if zone == "+00:00":
        return (
            f"write {written}Z for UTC (this machine's zone too), or the offset of your own zone, as in {written}+02:00"
        )
    return f"write {written}Z for UTC, or {written}{zone} for this machine's zone ({local.tzname()})"
