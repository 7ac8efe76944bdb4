"""The demo tells the truth: it ends well only where the model is proved to be back. Each run takes 4 s: it deploys the
store and runs real commands."""

from __future__ import annotations

import os
import re
import signal
import threading

import boto3
import pytest

from artifact_store.embedded import classifier, demo, deploy


@pytest.fixture(autouse=True)
def without_an_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deploy, "command", lambda project: None)


def test_the_demo_breaks_the_model_and_proves_that_it_is_back(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    before = dict(os.environ)
    assert demo.main() == 0
    told = capfd.readouterr().out
    assert "deployed by the in-process monitor" in told
    good, cut, wrong, back = (float(text) for text in re.findall(r"loaded now: ([\d.]+)%", told))
    assert good > 80
    assert max(cut, wrong) < 20
    assert back == good
    assert "is mid-save at" in told
    assert re.search(r"newest whole at or before: 20\S+Z; first whole after: 20\S+Z\n", told)
    assert "   6 of 6 files have the same SHA-256 as in the good model, 6 are there" in told
    assert "verified: 6 keys as the plan says, 4 headers of models read" in told
    assert told.strip().endswith("whole and to the byte, and nothing was lost.")
    assert len(told.splitlines()) < 55
    assert dict(os.environ) == before
    assert boto3.DEFAULT_SESSION is None, "the embedded AWS's credentials must not stay in the process"


def test_the_demo_fails_where_the_restore_did_not_happen(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(demo, "command", lambda *arguments: 4 if arguments[-1] == "--yes" == arguments[4] else 0)
    assert demo.main() == 1
    told = capfd.readouterr().out
    assert told.count("is NOT as it was") == 4
    assert told.strip().endswith("The model did NOT come back as it was.")


def test_the_demo_fails_where_a_command_ends_badly(monkeypatch: pytest.MonkeyPatch) -> None:
    real = demo.command

    def badly(*arguments: str) -> int:
        return real(*arguments) or int("--nearest-complete" in arguments)

    monkeypatch.setattr(demo, "command", badly)
    assert demo.main() == 1


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_demo_says_so_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], error: type[BaseException]
) -> None:
    """RuntimeError: what was cut off may end in errors of its own."""

    def cut_off() -> int:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise error from None
        return 0

    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    before = signal.getsignal(signal.SIGINT)
    monkeypatch.setattr(demo, "told", cut_off)
    assert demo.main() == 130
    assert capfd.readouterr() == ("", "interrupted: what the demo made is gone with its embedded AWS\n")
    assert signal.getsignal(signal.SIGINT) is before


def test_an_error_that_no_interrupt_came_before_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise RuntimeError

    monkeypatch.setattr(demo, "told", fail)
    with pytest.raises(RuntimeError):
        demo.main()


@pytest.fixture(scope="module")
def files() -> classifier.Files:
    return classifier.stored(classifier.train(seed=3, steps=1))


def test_a_model_is_loaded_from_its_files_as_it_was_trained(files: classifier.Files) -> None:
    weights = classifier.train(seed=3, steps=1)
    found = classifier.loaded(files)
    assert found.keys() == weights.keys()
    assert all((found[name] == weights[name]).all() for name in weights)


def test_a_single_file_beside_an_index_wins(files: classifier.Files) -> None:
    other = classifier.train(seed=4, steps=1)
    found = classifier.loaded({**files, classifier.SINGLE: classifier.single(other)})
    assert (found["layers.0.weight"] == other["layers.0.weight"]).all()


def test_a_missing_shard_is_named(files: classifier.Files) -> None:
    with pytest.raises(KeyError, match="model-00004-of-00004"):
        classifier.loaded({name: data for name, data in files.items() if not name.startswith("model-00004")})
