"""A row is ok, missed or wrong by its figure, its target and its check alone, in every form it is shown."""

import io
import json

import pytest
from rich.console import Console

from bench import __main__ as program
from bench.process import measured
from bench.table import Row, as_json, as_markdown, short, show


@pytest.mark.parametrize(
    ("bounds", "verdict", "target"),
    [
        ({"most": 0.6}, "ok", "at most 0.6 x"),
        ({"most": 0.59}, "MISSED", "at most 0.59 x"),
        ({"least": 0.6}, "ok", "at least 0.6 x"),
        ({"least": 0.61}, "MISSED", "at least 0.61 x"),
        ({}, "", ""),
        ({"most": 1, "wrong": "a key is missing"}, "WRONG", "at most 1 x"),
    ],
)
def test_the_verdict_comes_from_the_target_and_a_wrong_result_meets_none(bounds, verdict, target):
    row = Row("restore", "1 s", "2 s", 0.6, **bounds)
    assert (row.verdict, row.target) == (verdict, target)


@pytest.mark.parametrize(
    ("figure", "text"), [(0.34721, "0.347"), (5.214, "5.21"), (42.61, "42.6"), (5812.3, "5,812"), (2, "2"), (0, "0")]
)
def test_figures_show_the_digits_that_say_something(figure, text):
    assert short(figure) == text


def test_every_form_tells_the_verdict_and_the_table_why_it_is_wrong():
    rows = [Row("list", "8", "1 boto3", 8.0, least=8), Row("copy", "1", "2", 0.5, least=5, wrong="3 of [4] copied")]
    assert [json.loads(line)["verdict"] for line in as_json(rows).splitlines()] == ["ok", "WRONG"]
    assert as_markdown(rows).splitlines()[2] == "| list | 8 | 1 boto3 | 8 x | at least 8 x | ok |"
    shown = io.StringIO()
    show(rows, Console(file=shown, width=120))
    assert "WRONG: copy: 3 of [4] copied" in shown.getvalue()


@pytest.mark.parametrize(("wrong", "code"), [("", 0), ("a key is missing", 1)])
def test_the_program_fails_for_a_wrong_result_and_not_for_a_missed_target(monkeypatch, capsys, wrong, code):
    monkeypatch.setattr(program, "isolate", lambda folder: None)
    monkeypatch.setattr(
        program, "PARTS", {"one": lambda sizes: iter([Row("list", "1", "2", 0.5, least=8, wrong=wrong)])}
    )
    monkeypatch.setattr("sys.argv", ["bench", "--markdown", "one"])
    assert program.main() == code
    assert ("WRONG" if wrong else "MISSED") in capsys.readouterr().out


def test_an_unknown_part_is_refused_by_name(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["bench", "restores"])
    with pytest.raises(SystemExit) as ended:
        program.main()
    assert ended.value.code == 2
    assert "no part restores; known: restore, listing" in capsys.readouterr().err


def test_only_what_comes_after_the_work_is_ready_is_measured():
    cost = measured(spend, 0.3, 40_000_000)
    assert cost.result == 40_000_000
    assert cost.cpu < 0.2
    assert cost.seconds < 0.2
    assert cost.peak > 40_000_000


def spend(seconds, size):
    import time

    until = time.process_time() + seconds
    while time.process_time() < until:
        pass
    yield
    return len(b"\1" * size)
