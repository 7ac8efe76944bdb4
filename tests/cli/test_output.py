"""What is shown can be read, and no key can drive a terminal."""

import io
import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from artifact_store.cli.output import colours, duration, emit, number, paint, printable, size
from artifact_store.cli.progress import rate, share, told
from artifact_store.restore.apply import Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 KiB"),
        (1024, "1.0 KiB"),
        (102_348, "99.9 KiB"),
        (102_400, "100 KiB"),
        (1_023_999, "1.0 MiB"),
        (5 * 1024**3, "5.0 GiB"),
        (500 * 1024**3, "500 GiB"),
        (3 * 1024**6, "3072 PiB"),
    ],
)
def test_sizes_are_three_digits_and_a_unit(count, text):
    assert size(count) == text


@given(st.integers(0, 10**15))
def test_a_size_never_takes_more_than_nine_columns(count):
    assert len(size(count)) <= 9


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.01, "0.1 s"),
        (2.34, "2.3 s"),
        (5, "5 s"),
        (119, "119 s"),
        (180, "3 min"),
        (7800, "2 h 10 min"),
        (7200, "2 h"),
        (500_000, "5 days"),
    ],
)
def test_times_are_told_in_two_units_at_most(seconds, text):
    assert duration(seconds) == text


def test_one_is_singular():
    assert (number(1, "key"), number(0, "key"), number(1200, "key")) == ("1 key", "0 keys", "1,200 keys")


@given(st.text())
@example("\x1b]0;title\x07\x1b[2J")
@example("\u202egpj.exe\u2066")
@example("\x85\x9b31m")
def test_nothing_a_terminal_acts_on_is_left_in_a_key(key):
    shown = printable(key)
    assert shown.isprintable()
    assert "\x1b" not in shown


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_a_key_of_letters_digits_and_signs_is_shown_as_it_is(key):
    assert printable(key) == key


def test_control_characters_are_shown_as_escapes():
    assert printable("a\x1b[31m\n\tü b\u202e") == "a\\x1b[31m\\n\\tü b\\u202e"


@given(st.text())
def test_a_json_line_is_one_line_and_gives_the_key_back(key):
    with pytest.MonkeyPatch.context() as patch:
        out = io.StringIO()
        patch.setattr("sys.stdout", out)
        emit({"key": key})
    assert out.getvalue().count("\n") == 1
    assert json.loads(out.getvalue()) == {"key": key}


def test_colours_are_for_terminals_whose_user_wants_them(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert colours(Terminal())
    assert not colours(io.StringIO())
    monkeypatch.setenv("NO_COLOR", "1")
    assert not colours(Terminal())
    monkeypatch.delenv("NO_COLOR")
    monkeypatch.setenv("TERM", "dumb")
    assert not colours(Terminal())


def test_paint_changes_nothing_but_colours(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    assert paint("key", "red", Terminal()) == "\x1b[31mkey\x1b[0m"
    assert paint("key", "red", io.StringIO()) == "key"
    assert paint("key", "", Terminal()) == "key"


def test_the_bar_moves_by_keys_and_by_bytes_alike():
    assert share(Progress(0, 10, 0, 100)) == 0
    assert share(Progress(5, 10, 0, 100)) == 0.25
    assert share(Progress(5, 10, 100, 100)) == 0.75
    assert share(Progress(5, 10, 0, 0)) == 0.5
    assert share(Progress(0, 0, 0, 0)) == 1


def test_beside_the_bar_stand_rate_and_time_left():
    assert told(Progress(500, 2000, 2**30, 2**32), 10) == "500/2,000 keys  1.0 GiB of 4.0 GiB  102 MiB/s  30 s left"
    assert told(Progress(500, 2000, 0, 0), 10) == "500/2,000 keys  50 keys/s  30 s left"


def test_nothing_is_guessed_from_the_first_second():
    assert told(Progress(1, 2000, 0, 0), 0.2) == "1/2,000 keys"
    assert told(Progress(0, 2000, 0, 0), 5) == "0/2,000 keys"


def test_what_copies_no_bytes_is_told_in_keys():
    assert (rate(100, 0, 2), rate(100, 2**20, 2), rate(0, 0, 0), rate(1, 0, 4)) == (
        "50 keys/s",
        "512 KiB/s",
        "0 keys/s",
        "0.2 keys/s",
    )
