"""The stub answers a real client as S3 does: pages, conditions, bulk deletes; and it counts."""

import pytest

from artifact_store.errors import S3Error
from artifact_store.s3 import operations as op
from artifact_store.s3.client import connect
from bench.bucket import Bucket, etag_of, id_of
from bench.clients import copy_boto3, copy_ours, list_boto3, list_ours, list_serially
from bench.stub import BUCKET, stub

KEYS = 500
MADE = Bucket(3 * KEYS)


@pytest.fixture(scope="module")
def environment():
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"ACCESS_KEY_ID": "k", "SECRET_ACCESS_KEY": "s", "DEFAULT_REGION": "us-east-1"}.items():
            patch.setenv(f"AWS_{name}", value)
        patch.setenv("NO_PROXY", "127.0.0.1")
        yield


@pytest.fixture(scope="module")
def server(environment):
    with stub(3 * KEYS) as running:
        yield running


@pytest.fixture
def s3(server):
    with connect(endpoint_url=server.endpoint) as client:
        server.counts()
        yield client


def done(work):
    next(work)
    with pytest.raises(StopIteration) as stop:
        next(work)
    return stop.value.value


def copy(index, **conditions):
    key = MADE.keys[index]
    return op.CopyObject(BUCKET, key, id_of(index, MADE.entries(index)[1]), BUCKET, key, **conditions)


@pytest.mark.parametrize("work", [list_ours, list_serially, list_boto3])
def test_every_client_finds_every_entry(server, work):
    server.counts()
    listed = done(work(server.endpoint))
    assert (listed.keys, listed.entries) == (KEYS, 3 * KEYS)
    assert server.counts() == {"ListObjectVersions": listed.requests}


def test_a_copy_is_refused_unless_its_condition_holds(s3, server):
    current = etag_of(0, MADE.entries(0)[0])
    for wrong in ({"if_match": "0" * 32}, {"if_none_match": True}):
        with pytest.raises(S3Error) as refused:
            s3.call(copy(0, **wrong))
        assert refused.value.status == 412
    written = s3.call(copy(0, if_match=current))
    assert written.etag == etag_of(0, MADE.entries(0)[1])
    head = s3.call(op.HeadObject(BUCKET, MADE.keys[0]))
    assert (head.version_id, head.etag) == (written.version_id, written.etag)
    assert server.counts() == {"CopyObject": 3, "HeadObject": 1}


def test_a_bulk_delete_hides_each_key_whose_condition_holds(s3):
    first, second = MADE.keys[10:12]
    lines = op.DeleteKey(first, etag=etag_of(10, MADE.entries(10)[0])), op.DeleteKey(second, etag="0" * 32)
    result = s3.call(op.DeleteObjects(BUCKET, lines))
    assert [line.error_code for line in result.keys] == ["", "PreconditionFailed"]
    with pytest.raises(S3Error) as gone:
        s3.call(op.HeadObject(BUCKET, first))
    assert gone.value.status == 404
    assert s3.call(op.HeadObject(BUCKET, second)).size == 10_000_000


@pytest.mark.parametrize(("work", "arguments"), [(copy_ours, (20, 8)), (copy_boto3, (20,))])
def test_both_clients_make_every_copy_on_a_bucket_as_it_came(environment, work, arguments):
    with stub(3 * 100) as fresh:
        assert done(work(fresh.endpoint, *arguments)) == 20
        assert fresh.counts() == {"CopyObject": 20}


def test_an_answer_takes_the_latency_that_was_asked_for(environment):
    with stub(3, latency=0.2) as slow, connect(endpoint_url=slow.endpoint) as s3:
        import time

        began = time.monotonic()
        s3.call(op.GetBucketVersioning(BUCKET))
        assert time.monotonic() - began >= 0.2
