"""The client on real servers, over networks that break: nothing lost, nothing done twice unseen, nothing hangs."""

import gc
import os
import re
import signal
import ssl
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from artifact_store.errors import S3Error, UsageError
from artifact_store.s3 import client as client_module
from artifact_store.s3 import operations as op
from artifact_store.s3.client import S3, connect
from tests.servers.conftest import Server, new_bucket
from tests.servers.fault_proxy import Delay, Fault, FaultProxy, Reset, Seen, Status, Truncate
from tests.servers.seaweed import ACCESS_KEY, SECRET_KEY

ODD_KEYS = [
    "plain",
    "with space",
    "a+b",
    "100%",
    "%41",
    "x&y=z;1?2#3",
    "quote'\"<>",
    "tab\there",
    "cr\rhere",
    "deep/er/..x/y",
    "naïve/日本/\U0001f600",
    "é" * 512,
]
"""The last is 1,024 bytes, the longest S3 takes (S3 User Guide, "Naming Amazon S3 objects")."""


@pytest.fixture
def faulty(proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """Our client through the proxy, with short pauses."""
    monkeypatch.setattr(client_module, "FIRST_PAUSE", 0.005)
    with connect(endpoint_url=proxy.endpoint) as s3:
        yield s3


def put(bucket: str, key: str, data: bytes) -> op.Job[op.Written]:
    written: op.Written = yield op.PutObject(bucket, key, data)
    return written


def head(bucket: str, key: str) -> op.Job[op.ObjectHead]:
    found: op.ObjectHead = yield op.HeadObject(bucket, key)
    return found


def contents(server: Server, bucket: str) -> dict[str, bytes]:
    boto = server.boto()
    pages = boto.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    keys = [found["Key"] for page in pages for found in page.get("Contents", [])]
    return {key: boto.get_object(Bucket=bucket, Key=key)["Body"].read() for key in keys}


@pytest.mark.parametrize("key", ODD_KEYS, ids=lambda key: ascii(key)[1:20])
def test_any_key_can_be_written_copied_read_tagged_and_deleted(server: Server, s3: S3, bucket: str, key: str) -> None:
    first = s3.call(op.PutObject(bucket, key, b"one", {"content-type": "text/x"}, {"run": "12"}))
    s3.call(op.PutObject(bucket, key, b"two"))
    s3.call(op.CopyObject(bucket, key, first.version_id, bucket, key))
    there = server.boto().get_object(Bucket=bucket, Key=key)
    assert (there["Body"].read(), there["ContentType"], there["Metadata"]) == (b"one", "text/x", {"run": "12"})
    assert s3.call(op.GetObject(bucket, key, first.version_id)).data == b"one"
    assert s3.call(op.GetObjectTagging(bucket, key)).tags == {}
    assert s3.call(op.HeadObject(bucket, key)).metadata == {"run": "12"}
    assert [entry.key for entry in s3.call(op.ListVersions(bucket, prefix=key)).entries] == [key] * 3
    told = s3.call(op.DeleteObjects(bucket, (op.DeleteKey(key),))).keys
    assert [(line.key, line.error_code) for line in told] == [(key, "")]
    assert contents(server, bucket) == {}
    assert len(s3.call(op.ListVersions(bucket, prefix=key)).entries) == 4, "the bulk delete named another key"


def test_a_multipart_copy_gives_the_same_bytes(server: Server, s3: S3, bucket: str) -> None:
    data = os.urandom(11 * 1024**2)
    source = server.boto().put_object(Bucket=bucket, Key="big one", Body=data)["VersionId"]

    def copy() -> op.Job[None]:
        started = yield op.CreateMultipartUpload(bucket, "cöpy", {"content-type": "x/y"}, {"m": "1"}, {"t a": "g=g+@"})
        cut = 6 * 1024**2
        ranges = [(0, cut - 1), (cut, len(data) - 1)]
        parts = yield [
            op.UploadPartCopy(bucket, "big one", source, bucket, "cöpy", started.upload_id, number, first, last)
            for number, (first, last) in enumerate(ranges, 1)
        ]
        yield op.CompleteMultipartUpload(bucket, "cöpy", started.upload_id, tuple(enumerate(parts, 1)))

    list(s3.run([copy()]))
    there = server.boto().get_object(Bucket=bucket, Key="cöpy")
    assert (there["Body"].read() == data, there["ContentType"], there["Metadata"]) == (True, "x/y", {"m": "1"})
    assert s3.call(op.GetObjectTagging(bucket, "cöpy")).tags == {"t a": "g=g+@"}


@pytest.mark.parametrize(
    "fault",
    [Status(503, "SlowDown"), Status(500), Status(502), Reset(), Reset(forwarded=True)],
    ids=str,
)
def test_whatever_happens_to_the_first_try_everything_is_written(
    server: Server, bucket: str, faulty: S3, proxy: FaultProxy, fault: Fault
) -> None:
    proxy.choose = lambda seen: fault if seen.attempt == 1 else None
    expected = {f"k{n}": b"%d" % n for n in range(20)}
    written = list(faulty.run(put(bucket, key, data) for key, data in expected.items()))
    assert len(written) == 20
    assert contents(server, bucket) == expected
    assert (faulty.stats.requests, faulty.stats.retries) == (40, 20)


def test_a_copy_whose_answer_is_cut_short_is_sent_again(
    server: Server, bucket: str, s3: S3, faulty: S3, proxy: FaultProxy
) -> None:
    source = s3.call(op.PutObject(bucket, "k", b"data")).version_id
    proxy.choose = lambda seen: Truncate() if seen.attempt == 1 else None
    faulty.call(op.CopyObject(bucket, "k", source, bucket, "copy"))
    assert contents(server, bucket) == {"copy": b"data", "k": b"data"}
    assert (faulty.stats.requests, faulty.stats.retries) == (2, 1)


def test_a_listing_cut_short_is_read_again(bucket: str, s3: S3, faulty: S3, proxy: FaultProxy) -> None:
    list(s3.run(put(bucket, f"k{n}", b"") for n in range(50)))
    whole = s3.call(op.ListVersions(bucket)).entries
    for share in (0.0, 0.5, 0.99):
        proxy.choose = lambda seen, share=share: Truncate(share) if seen.number % 2 else None
        assert faulty.call(op.ListVersions(bucket)).entries == whole
    assert len(proxy.faults) == 3


def test_a_server_that_stays_busy_ends_as_its_own_error_after_a_bounded_number_of_tries(
    bucket: str, faulty: S3, proxy: FaultProxy
) -> None:
    proxy.choose = lambda _: Status(503, "SlowDown")
    with pytest.raises(S3Error, match=f"PutObject s3://{bucket}/k: SlowDown") as caught:
        faulty.call(op.PutObject(bucket, "k", b""))
    assert (caught.value.status, caught.value.code) == (503, "SlowDown")
    assert str(caught.value).endswith("; tried 8 times, try again later")
    assert len(proxy.seen) == client_module.ATTEMPTS == 8


@pytest.mark.parametrize("fault", [Status(403, "AccessDenied"), Status(404, "NoSuchBucket"), Status(400, "BadRequest")])
def test_what_will_not_get_better_is_not_tried_again(bucket: str, faulty: S3, proxy: FaultProxy, fault: Status) -> None:
    proxy.choose = lambda _: fault
    with pytest.raises(S3Error) as caught:
        faulty.call(op.PutObject(bucket, "k", b""))
    assert (caught.value.status, caught.value.code, len(proxy.seen)) == (fault.status, fault.code, 1)


def test_a_server_that_says_nothing_is_given_up(
    bucket: str, faulty: S3, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "ANSWER_SECONDS", 0.2)
    proxy.choose = lambda seen: Delay(60) if seen.attempt == 1 else None
    began = time.monotonic()
    faulty.call(op.PutObject(bucket, "k", b"x"))
    assert time.monotonic() - began < 5
    assert [seen.attempt for seen in proxy.seen] == [1, 2]


def test_a_server_that_never_said_anything_is_given_up_sooner_and_told_as_such(
    bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "FIRST_ANSWER_SECONDS", 0.2)
    monkeypatch.setattr(client_module, "UNREACHABLE_ATTEMPTS", 1)
    proxy.choose = lambda _: Delay(60)
    with connect(endpoint_url=proxy.endpoint) as s3, pytest.raises(S3Error) as caught:
        s3.call(op.GetBucketVersioning(bucket))
    assert (caught.value.code, len(proxy.seen)) == ("TimedOut", 1)
    assert re.fullmatch(
        rf"GetBucketVersioning s3://{bucket}/: no answer in \d s, and to nothing else before: look at --endpoint-url, "
        "AWS_ENDPOINT_URL and the network",
        str(caught.value),
    )


def test_an_endpoint_that_is_not_there_is_named_within_seconds(environment: None) -> None:
    began = time.monotonic()
    with connect(endpoint_url="http://127.0.0.1:9") as s3, pytest.raises(S3Error) as caught:
        s3.call(op.GetBucketVersioning("bucket"))
    assert time.monotonic() - began < 5
    assert (caught.value.code, caught.value.status) == ("Unreachable", 0)
    assert "http://127.0.0.1:9 " in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_host_name_that_does_not_exist_is_named_within_seconds(environment: None) -> None:
    began = time.monotonic()
    with connect(endpoint_url="http://s3.invalid") as s3, pytest.raises(S3Error, match=r"s3\.invalid") as caught:
        s3.call(op.GetBucketVersioning("bucket"))
    assert time.monotonic() - began < 10
    assert caught.value.code == "Unreachable"


def test_a_conditional_write_whose_answer_was_lost_is_reported_as_refused_and_stands(
    server: Server, bucket: str, faulty: S3, proxy: FaultProxy
) -> None:
    proxy.choose = lambda seen: Reset(forwarded=True) if seen.attempt == 1 else None
    with pytest.raises(S3Error) as caught:
        faulty.call(op.PutObject(bucket, "k", b"mine", if_none_match=True))
    assert (caught.value.status, caught.value.code) == (412, "PreconditionFailed")
    assert contents(server, bucket) == {"k": b"mine"}


def test_a_missing_bucket_a_missing_key_and_a_marker_can_be_told_apart(server: Server, s3: S3, bucket: str) -> None:
    def code(operation: op.Operation) -> str:
        with pytest.raises(S3Error) as caught:
            s3.call(operation)
        return caught.value.code

    s3.call(op.PutObject(bucket, "gone", b""))
    s3.call(op.DeleteObject(bucket, "gone"))
    assert code(op.ListVersions("no-such-bucket-here")) == "NoSuchBucket"
    assert code(op.GetObject(bucket, "never")) == "NoSuchKey"
    # SeaweedFS leaves out the header that tells of the marker.
    assert code(op.HeadObject(bucket, "gone")) == ("NotFound" if server.name == "weed" else "DeleteMarker")


def test_a_job_may_catch_its_error_and_the_others_go_on(bucket: str, s3: S3) -> None:
    def careful(key: str) -> op.Job[str]:
        try:
            yield op.HeadObject(bucket, key)
        except S3Error as error:
            return error.code
        return "there"

    s3.call(op.PutObject(bucket, "k1", b""))
    assert sorted(s3.run(careful(f"k{n}") for n in range(3))) == ["NotFound", "NotFound", "there"]


def test_a_request_that_failed_leaves_nothing_behind(bucket: str, s3: S3) -> None:
    """A run of a million keys that are refused would otherwise keep every body that came with one."""

    def job(number: int) -> op.Job[str]:
        try:
            yield [op.GetObject(bucket, f"no{number}"), op.GetObject(bucket, "no")]
        except S3Error as error:
            return error.code
        return ""

    def failed() -> list[str]:
        return list(s3.run(job(number) for number in range(20)))

    assert failed() == ["NoSuchKey"] * 20
    gc.collect()
    gc.disable()
    try:
        assert failed() == ["NoSuchKey"] * 20
        assert [type(one).__name__ for one in gc.get_objects() if isinstance(one, S3Error)] == []
    finally:
        gc.enable()


def test_all_of_a_list_end_before_its_first_error_is_raised(server: Server, bucket: str, s3: S3) -> None:
    def several() -> op.Job[str]:
        try:
            yield [op.HeadObject(bucket, "never"), *(op.PutObject(bucket, f"k{n}", b"") for n in range(5))]
        except S3Error as error:
            return error.code
        return "no error"

    assert list(s3.run([several()])) == ["NotFound"]
    assert sorted(contents(server, bucket)) == ["k0", "k1", "k2", "k3", "k4"]


def test_an_error_that_no_job_catches_ends_the_run(bucket: str, s3: S3) -> None:
    with pytest.raises(S3Error, match="never"):
        list(s3.run([head(bucket, "never")]))


def test_jobs_are_drawn_only_as_there_is_room(bucket: str, faulty: S3, proxy: FaultProxy) -> None:
    drawn = 0
    busy = most = 0
    lock = threading.Lock()

    def jobs() -> Iterator[op.Job[op.Written]]:
        nonlocal drawn
        for n in range(40):
            drawn += 1
            yield put(bucket, f"k{n}", b"")

    def watch(seen: Seen) -> None:
        nonlocal busy, most
        with lock:
            busy += 1
            most = max(most, busy)

    proxy.choose = watch
    results = faulty.run(jobs(), in_flight=4)
    for finished, _ in enumerate(results, 1):
        with lock:
            busy -= 1
        assert drawn <= finished + 4
    assert (drawn, finished) == (40, 40)
    # One more than may be in flight, since a result is counted here only after the next request has been sent.
    assert most <= 4 + 1


def test_closing_the_results_ends_what_is_in_flight_at_once(bucket: str, faulty: S3, proxy: FaultProxy) -> None:
    faulty.call(op.PutObject(bucket, "k", b""))
    proxy.choose = lambda seen: Delay(60) if "slow" in seen.target else None
    closed = []

    def slow(n: int) -> op.Job[None]:
        try:
            yield op.HeadObject(bucket, f"slow{n}")
        finally:
            closed.append(n)

    results = faulty.run([head(bucket, "k"), slow(1), slow(2)])
    next(results)
    began = time.monotonic()
    results.close()
    faulty.close()
    assert time.monotonic() - began < 1
    assert sorted(closed) == [1, 2]


def test_ctrl_c_ends_a_run_within_a_second(bucket: str, faulty: S3, proxy: FaultProxy) -> None:
    """A busy machine gets three tries."""
    pressed = 0.0

    def press(seen: Seen) -> Fault:
        nonlocal pressed
        if seen.number % 8 == 0:
            pressed = time.monotonic()
            os.kill(os.getpid(), signal.SIGINT)
        return Delay(60)

    proxy.choose = press
    took: list[float] = []
    while len(took) < 3 and min(took, default=1.0) >= 1:
        with pytest.raises(KeyboardInterrupt):
            list(faulty.run(put(bucket, f"k{n}", b"") for n in range(8)))
        took.append(time.monotonic() - pressed)
    assert min(took) < 1, took


def test_a_rate_limit_spaces_the_requests(server: Server, bucket: str) -> None:
    with connect(endpoint_url=server.endpoint, rate=50) as s3:
        began = time.monotonic()
        list(s3.run(put(bucket, f"k{n}", b"") for n in range(21)))
        assert time.monotonic() - began >= 20 / 50


def test_a_body_comes_whole_over_connections_that_break(
    server: Server, bucket: str, faulty: S3, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "READ_BYTES", 64 * 1024)
    data = os.urandom(1_000_003)
    server.boto().put_object(Bucket=bucket, Key="k", Body=data)
    proxy.choose = lambda seen: Truncate() if seen.number % 3 == 1 else Reset() if seen.number % 3 == 2 else None
    assert b"".join(faulty.read(op.GetObject(bucket, "k"))) == data
    assert b"".join(faulty.read(op.GetObject(bucket, "k", first=5, last=999_999))) == data[5:1_000_000]
    assert len(proxy.faults) > 20


def test_an_empty_body_can_be_read(server: Server, bucket: str, s3: S3) -> None:
    server.boto().put_object(Bucket=bucket, Key="k", Body=b"")
    assert b"".join(s3.read(op.GetObject(bucket, "k"))) == b""


def test_a_body_is_never_put_together_from_two_versions(
    server: Server, bucket: str, s3: S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_module, "READ_BYTES", 64 * 1024)
    boto = server.boto()
    boto.put_object(Bucket=bucket, Key="k", Body=b"a" * 300_000)
    chunks = s3.read(op.GetObject(bucket, "k"))
    assert set(next(chunks)) == {ord("a")}
    boto.put_object(Bucket=bucket, Key="k", Body=b"b" * 300_000)
    with pytest.raises(S3Error) as caught:
        b"".join(chunks)
    assert caught.value.code == "PreconditionFailed"


def test_http_proxy_and_no_proxy_are_obeyed(
    server: Server, bucket: str, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy.endpoint)
    with connect(endpoint_url=server.endpoint) as s3:
        list(s3.run(put(bucket, key, b"x") for key in ODD_KEYS))
        assert len(s3.call(op.ListVersions(bucket)).entries) == len(ODD_KEYS)
    assert len(proxy.seen) == len(ODD_KEYS) + 1
    assert contents(server, bucket).keys() == set(ODD_KEYS)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    before = len(proxy.seen)
    with connect(endpoint_url=server.endpoint) as s3:
        s3.call(op.PutObject(bucket, "direct", b""))
    assert len(proxy.seen) == before


def test_certificates_are_checked_and_aws_ca_bundle_is_honoured(
    moto: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Takes 10 to 30 seconds: the TLS library waits that long before it tells of a certificate it refuses."""
    bucket = new_bucket(moto)
    certificate, key = _self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with FaultProxy(moto.endpoint, tls=context) as proxy:
        with connect(endpoint_url=proxy.endpoint) as s3, pytest.raises(S3Error, match="AWS_CA_BUNDLE") as caught:
            s3.call(op.PutObject(bucket, "k", b""))
        assert caught.value.code == "Untrusted"
        assert proxy.seen == []
        monkeypatch.setenv("AWS_CA_BUNDLE", str(certificate))
        with connect(endpoint_url=proxy.endpoint) as s3:
            s3.call(op.PutObject(bucket, "k", b""))
        assert len(proxy.seen) == 1
        monkeypatch.setenv("AWS_CA_BUNDLE", str(key))
        with connect(endpoint_url=proxy.endpoint) as s3, pytest.raises(UsageError, match=f"AWS_CA_BUNDLE: {key} holds"):
            s3.call(op.PutObject(bucket, "k", b""))


def test_wrong_keys_are_refused_in_one_line(weed: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    with connect(endpoint_url=weed.endpoint) as s3, pytest.raises(S3Error, match="the secret key is wrong") as caught:
        s3.call(op.GetBucketVersioning("any-bucket"))
    assert (caught.value.status, caught.value.code) == (403, "SignatureDoesNotMatch")


def test_credentials_that_expire_are_renewed_on_the_way(
    weed: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential process that hands out keys good for a moment, and counts how often it was asked."""
    asked = tmp_path / "asked"
    soon = (datetime.now(UTC) + timedelta(minutes=1)).isoformat()
    answer = f'{{"Version":1,"AccessKeyId":"{ACCESS_KEY}","SecretAccessKey":"{SECRET_KEY}","Expiration":"{soon}"}}'
    program = tmp_path / "keys"
    program.write_text(f"#!/bin/sh\necho >>{asked}\necho '{answer}'\n")
    program.chmod(0o755)
    config = tmp_path / "config"
    config.write_text(f"[profile short]\nregion = us-east-1\ncredential_process = {program}\n")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    with connect(profile="short", endpoint_url=weed.endpoint) as s3:
        for _ in range(3):
            with pytest.raises(S3Error, match="NoSuchBucket"):
                s3.call(op.ListVersions("no-such-bucket-here"))
    # botocore renews keys that expire within ten minutes, so each request asks again.
    assert len(asked.read_text().splitlines()) >= 3


def test_missing_credentials_a_missing_region_and_an_unknown_profile_are_one_line_each(
    environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(UsageError, match="nobody"):
        connect(profile="nobody")
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(UsageError, match="no Region: add --region"):
        connect()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    with pytest.raises(S3Error, match="no credentials: set AWS_ACCESS_KEY_ID") as caught:
        connect(region="eu-central-1")
    assert caught.value.code == "NoCredentials"


def _self_signed(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return paths
