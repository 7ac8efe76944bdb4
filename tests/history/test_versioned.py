"""A bucket is looked at by its server's clock, and not at all where it keeps no versions."""

import pytest

from artifact_store.errors import Refused
from artifact_store.history.versioned import clock
from artifact_store.s3.operations import BucketVersioning, GetBucketVersioning


class Answering:
    """A server that gives one answer."""

    def __init__(self, answer):
        self.answer = answer

    def call(self, operation):
        assert operation == GetBucketVersioning("models")
        return self.answer


@pytest.mark.parametrize("status", ["Enabled", "Suspended"])
def test_the_clock_is_the_servers_whatever_this_machines_says(status, monkeypatch):
    monkeypatch.setattr("time.time", lambda: 5.0)
    assert clock(Answering(BucketVersioning(status, 1_790_000_000.0)), "models") == 1_790_000_000.0


def test_where_the_server_tells_no_time_this_machines_clock_is_taken(monkeypatch):
    monkeypatch.setattr("time.time", lambda: 1_790_000_005.0)
    assert clock(Answering(BucketVersioning("Enabled", 0.0)), "models") == 1_790_000_005.0


def test_a_bucket_that_never_kept_versions_is_refused():
    with pytest.raises(Refused, match="bucket models never had versioning enabled, so it keeps no former versions"):
        clock(Answering(BucketVersioning("", 1_790_000_000.0)), "models")
