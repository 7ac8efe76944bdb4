"""An instant is read in one way only, or refused with what to type instead."""

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.errors import UsageError
from artifact_store.history.instant import Moment, ZoneMissing, known, parse_instant, parse_moment, show

NOW = 1_790_000_000.75
FORMS = "write 2026-05-04T13:30:00Z, 2026-05-04T15:30:00+02:00, @1777901400 or an age such as 90m, 2h, 7d"

instants = st.integers(0, int(NOW))
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))


@pytest.fixture
def zone(monkeypatch):
    """Set this machine's zone."""

    def set_zone(name):
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


def refused(text):
    with pytest.raises(UsageError) as caught:
        parse_instant(text, NOW)
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert "\n" not in message
    return message


def assert_past_or_refused(text):
    message = ""
    try:
        instant = parse_instant(text, NOW)
    except UsageError as error:
        message = str(error)
    else:
        assert 0 <= instant <= NOW
        assert instant == int(instant)
    assert "\n" not in message


@given(instants)
def test_what_is_shown_is_read_back(instant):
    assert parse_instant(show(instant), NOW) == instant


@given(instants, offsets)
def test_a_time_with_an_offset_is_the_second_it_names(instant, offset):
    written = datetime.fromtimestamp(instant, UTC).astimezone(offset).isoformat()
    assert parse_instant(written, NOW) == instant
    assert parse_instant(written.replace("T", " "), NOW) == instant


@given(instants)
def test_an_epoch_is_taken_as_it_stands(instant):
    assert parse_instant(f"@{instant}", NOW) == instant


@given(st.integers(0, 100), st.sampled_from([("s", 1), ("m", 60), ("h", 3600), ("d", 86_400), ("w", 604_800)]))
def test_an_age_is_counted_back_from_now_in_whole_seconds(count, unit):
    assert parse_instant(f"{count}{unit[0]}", NOW) == 1_790_000_000 - count * unit[1]


@given(st.text(max_size=40))
def test_any_text_is_a_second_of_the_past_or_refused_in_one_line(text):
    assert_past_or_refused(text)


@given(
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?", fullmatch=True)
)
def test_any_date_shaped_text_is_a_second_of_the_past_or_refused(text):
    assert_past_or_refused(text)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-05-04T13:30:00Z", 1_777_901_400),
        ("2026-05-04T15:30:00+02:00", 1_777_901_400),
        ("2026-05-04T15:30+0200", 1_777_901_400),
        ("2026-05-04 13:30z", 1_777_901_400),
        ("2026-05-04 15:30:00 +02", 1_777_901_400),
        (" @1777901400 ", 1_777_901_400),
        ("90m", 1_789_994_600),
        ("0s", 1_790_000_000),
    ],
)
def test_each_form_is_read(text, instant):
    assert parse_instant(text, NOW) == instant


def test_a_time_without_a_zone_is_refused_with_both_readings(zone):
    zone("Europe/Berlin")
    with pytest.raises(ZoneMissing) as caught:
        parse_instant("2026-05-04 15:30", NOW)
    assert str(caught.value) == (
        "time '2026-05-04 15:30' has no zone; write 2026-05-04T15:30:00Z for UTC, "
        "or 2026-05-04T15:30:00+02:00 for this machine's zone (CEST)"
    )
    readings = [written for _, written in caught.value.readings]
    assert [parse_instant(written, NOW) for written in readings] == [1_777_908_600, 1_777_901_400]


def test_where_the_machine_runs_on_utc_there_is_one_reading_and_a_hint(zone):
    zone("UTC")
    assert refused("2026-05-04T15:30:00") == (
        "time '2026-05-04T15:30:00' has no zone; write 2026-05-04T15:30:00Z for UTC (this machine's zone too), "
        "or give the offset of another zone, as in +02:00"
    )


def test_a_zone_is_asked_for_in_any_year(zone):
    zone("Pacific/Auckland")
    assert refused("0001-01-01T00:00").startswith("time '0001-01-01T00:00' has no zone; write 0001-01-01T00:00:00Z")
    assert refused("9999-12-31T23:59").startswith("time '9999-12-31T23:59' has no zone; write 9999-12-31T23:59:00Z")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("05/04/2026", f"time '05/04/2026': day and month cannot be told apart; {FORMS}"),
        ("4.5.2026 13:30", f"time '4.5.2026 13:30': day and month cannot be told apart; {FORMS}"),
        ("2026-05-04", "time '2026-05-04' is a day, not a second; write for example 2026-05-04T00:00:00Z"),
        ("yesterday", f"time 'yesterday' is not understood; {FORMS}"),
        ("", f"time '' is not understood; {FORMS}"),
        ("2 h", f"time '2 h' is not understood; {FORMS}"),
        ("-2h", f"time '-2h' is not understood; {FORMS}"),
        ("2y", f"time '2y' is not understood; {FORMS}"),
        ("٣h", f"time '٣h' is not understood; {FORMS}"),
        (
            "2026-05-04T13:30:00.250Z",
            "time '2026-05-04T13:30:00.250Z' has a fraction, but S3 counts whole seconds; leave .250 out",
        ),
        (
            "2026-05-04T13:30:00+25:00",
            f"time '2026-05-04T13:30:00+25:00': no zone is +25:00 off; {FORMS}",
        ),
        ("2026-02-30T00:00:00Z", f"time '2026-02-30T00:00:00Z': day is out of range for month; {FORMS}"),
        (
            "@1777901400000",
            "time '@1777901400000' is too large for seconds; write @ and seconds, as in @1777901400",
        ),
        ("1969-12-31T23:59:59Z", f"time '1969-12-31T23:59:59Z' lies before 1970; {FORMS}"),
        ("9999w", f"time '9999w' lies before 1970; {FORMS}"),
    ],
)
def test_what_cannot_be_read_in_one_way_is_refused_with_an_example(text, message):
    assert refused(text) == message


def test_the_second_that_is_now_has_been_and_the_next_one_has_not():
    assert parse_instant("@1790000000", NOW) == 1_790_000_000
    assert refused("@1790000001") == (
        "time '@1790000001' is 2026-09-21T14:13:21Z, in the future: the server's clock says 2026-09-21T14:13:20Z; "
        "name a time that has been"
    )


def test_what_a_text_means_is_read_without_a_clock():
    assert parse_moment("90m") == Moment("90m", 5400, is_age=True)
    assert parse_moment("@1790000000") == Moment("@1790000000", 1_790_000_000)
    assert parse_moment("2999-01-01T00:00:00Z").seconds == 32_472_144_000


@given(st.integers(0, 10**6), instants)
def test_an_age_is_counted_from_the_clock_it_is_given(age, now):
    moment = parse_moment(f"{age}s")
    if age <= now:
        assert moment.at(now + 0.9) == now - age
    else:
        with pytest.raises(UsageError, match="lies before 1970"):
            moment.at(now)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_of_seconds_is_refused(number):
    with pytest.raises(UsageError, match="x is no number of seconds since the epoch; write 2026"):
        known(number, NOW, "x")


def test_a_number_of_no_date_is_refused_as_the_future():
    with pytest.raises(UsageError, match=r"^x is in the future: the server's clock says 2026-09-21T14:13:20Z; name"):
        known(1e300, NOW, "x")
