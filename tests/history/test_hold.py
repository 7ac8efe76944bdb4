"""Every version of a lock is held, or it is said which are not; no server loses the times of more than one by it."""

from __future__ import annotations

import pytest

from artifact_store.errors import KeysFailed, S3Error
from artifact_store.history.hold import hold
from artifact_store.history.lock import Lock, make_lock
from artifact_store.history.scope import parse_scope
from artifact_store.s3 import operations as op
from artifact_store.s3 import wire
from tests.restore.memory import NOW, MemoryS3, s3_error

KEYS = ["m/a", "m/b", "m/c"]


def locked(s3: MemoryS3, *, object_lock: bool = True) -> tuple[Lock, list[op.Entry]]:
    """Three versions, the last of them the oldest, held 100 s later."""
    s3.buckets["bkt"].object_lock = object_lock
    for age, key in enumerate(KEYS):
        s3.clock = NOW - age * 10
        s3.put(key, key.encode())
    made = make_lock(s3, parse_scope("s3://bkt/m/"), NOW)
    s3.clock, s3.sent = NOW + 100, []
    return made, s3.entries()


def held(s3: MemoryS3) -> list[str]:
    return [key for key, (stored,) in sorted(s3.buckets["bkt"].keys.items()) if stored.held]


def asked(s3: MemoryS3) -> list[type[op.Operation]]:
    return [type(operation) for operation in s3.sent]


def test_each_version_is_held_and_cannot_be_removed_after_it() -> None:
    s3 = MemoryS3()
    made, then = locked(s3)
    assert hold(s3, made, then) == []
    assert (held(s3), s3.entries()) == (KEYS, then)
    lines = tuple(op.DeleteKey(file.key, file.version_id) for file in made.files.values())
    assert {line.error_code for line in s3.call(op.DeleteObjects("bkt", lines)).keys} == {"AccessDenied"}


@pytest.mark.parametrize("taken", [False, True])
def test_in_a_bucket_without_object_lock_nothing_is_tried_also_where_it_would_be_taken(taken: bool) -> None:
    s3 = MemoryS3(holds_rewrite=taken)
    made, then = locked(s3, object_lock=False)
    with pytest.raises(KeysFailed) as error:
        hold(s3, made, then)
    told = "nothing could be held: bkt has no object lock; no lifecycle rule of it removes versions"
    assert (str(error.value), s3.entries()) == (told, then)
    assert asked(s3) == [op.GetObjectLockConfiguration, op.GetBucketLifecycle]


def test_where_a_hold_changes_the_time_of_its_version_only_the_oldest_is_held() -> None:
    s3 = MemoryS3(holds_rewrite=True)
    made, then = locked(s3)
    with pytest.raises(KeysFailed) as error:
        hold(s3, made, then)
    assert str(error.value) == (
        f"the hold on version {then[2].version_id} of m/c changed its time from 2023-11-14T22:13:00Z to "
        "2023-11-14T22:15:00Z: this server cannot hold versions without losing their times, so no other one is held"
    )
    assert (held(s3), s3.entries()[:2]) == (["m/c"], then[:2])


def test_where_a_hold_changes_the_etag_of_its_version_no_other_is_held() -> None:
    s3 = MemoryS3()
    made, then = locked(s3)
    (stored,) = s3.buckets["bkt"].keys["m/c"]

    def changed(operation: op.Operation) -> None:
        if isinstance(operation, op.PutLegalHold):
            (now,) = s3.buckets["bkt"].keys["m/c"]
            now.entry = now.entry._replace(etag="other")

    s3.after = changed
    with pytest.raises(KeysFailed) as error:
        hold(s3, made, then)
    assert f"of m/c changed its ETag from {stored.entry.etag} to other: " in str(error.value)
    assert held(s3) == ["m/c"]


@pytest.mark.parametrize("failing", KEYS)
def test_a_version_that_cannot_be_held_is_named_and_the_others_are_held(failing: str) -> None:
    s3 = MemoryS3()
    made, then = locked(s3)

    def denied(operation: op.Operation) -> None:
        if isinstance(operation, op.PutLegalHold) and operation.key == failing:
            raise s3_error(403, "AccessDenied", "no")

    s3.before = denied
    assert hold(s3, made, then) == [(failing, "no")]
    assert held(s3) == [key for key in KEYS if key != failing]


@pytest.mark.parametrize("status", [403, 405, 501])
@pytest.mark.parametrize("object_lock", [False, True])
def test_where_the_bucket_may_not_be_asked_the_first_hold_tells(status: int, object_lock: bool) -> None:
    s3 = MemoryS3()
    made, then = locked(s3, object_lock=object_lock)

    def silent(operation: op.Operation) -> None:
        if isinstance(operation, op.GetObjectLockConfiguration):
            raise s3_error(status, "Silent")

    s3.before = silent
    if object_lock:
        assert (hold(s3, made, then), held(s3)) == ([], KEYS)
        return
    with pytest.raises(KeysFailed, match=r"^nothing could be held: bkt has no object lock; "):
        hold(s3, made, then)
    assert asked(s3).count(op.PutLegalHold) == 1


def test_what_else_the_bucket_answers_is_raised_before_anything_is_held() -> None:
    s3 = MemoryS3()
    made, then = locked(s3)

    def down(operation: op.Operation) -> None:
        raise s3_error(503, "SlowDown")

    s3.before = down
    with pytest.raises(S3Error, match="SlowDown"):
        hold(s3, made, then)
    assert asked(s3) == [op.GetObjectLockConfiguration]


@pytest.mark.parametrize(
    ("inside", "enabled"),
    [
        (
            "<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention><Days>1</Days></DefaultRetention></Rule>",
            True,
        ),
        ("<ObjectLockEnabled>Enabled</ObjectLockEnabled>", True),
        ("<ObjectLockEnabled></ObjectLockEnabled>", False),
        ("", False),
    ],
)
def test_object_lock_is_on_where_the_answer_says_enabled(inside: str, enabled: bool) -> None:
    ask = op.GetObjectLockConfiguration("bkt")
    request = wire.encode(ask)
    assert (request.method, request.bucket, request.key, request.query) == ("GET", "bkt", None, "object-lock=")
    body = (
        f'<ObjectLockConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{inside}</ObjectLockConfiguration>'
    )
    assert wire.decode(ask, wire.Reply(200, {}, body.encode())) == op.ObjectLockConfiguration(enabled)
