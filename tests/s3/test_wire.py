"""Operations on the wire: every legal key survives, and an answer is never taken for something it is not."""

import base64
import hashlib
import re
from urllib.parse import parse_qs, unquote
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.errors import S3Error
from artifact_store.s3 import operations as op
from artifact_store.s3 import wire
from tests.s3.pages import XML, keys


@given(keys())
def test_every_key_is_found_again_in_the_request_target(key: str) -> None:
    target = wire.encode(op.HeadObject("b", key)).path("/b")
    assert target.isascii()
    assert re.fullmatch(r"[A-Za-z0-9/%._~-]+", target)
    assert unquote(target.removeprefix("/b/")) == key


@given(keys(), st.sampled_from(["", "null", "a+b/c="]))
def test_a_copy_names_its_source_so_that_it_can_be_read_back(key: str, version: str) -> None:
    headers = dict(wire.encode(op.CopyObject("from", key, version, "to", "x")).headers)
    path, _, query = headers["x-amz-copy-source"].partition("?")
    assert headers["x-amz-copy-source"].isascii()
    assert unquote(path) == f"from/{key}"
    assert parse_qs(query) == ({"versionId": [version]} if version else {})


@given(keys(), keys(), st.sampled_from(["", "null", "a+b/c="]))
def test_a_listing_is_asked_for_with_prefix_and_both_markers(prefix: str, marker: str, version: str) -> None:
    query = wire.encode(op.ListVersions("b", prefix, "/", marker, version, 7)).query
    # What S3 signs has everything encoded, the slash too.
    assert re.fullmatch(r"[A-Za-z0-9%._~=&-]+", query)
    asked = {name: values[0] for name, values in parse_qs(query, keep_blank_values=True).items()}
    expected = {"versions": "", "encoding-type": "url", "prefix": prefix, "delimiter": "/", "max-keys": "7"}
    expected |= {"key-marker": marker} | ({"version-id-marker": version} if version else {})
    assert asked == expected


@given(
    st.lists(st.builds(op.DeleteKey, keys(XML), st.sampled_from(["", "v1"]), st.sampled_from(["", "e"])), min_size=1)
)
def test_a_bulk_delete_names_every_key_and_carries_its_digest(lines: list[op.DeleteKey]) -> None:
    request = wire.encode(op.DeleteObjects("b", tuple(lines)))
    named = [
        op.DeleteKey(e.findtext("{*}Key") or "", e.findtext("{*}VersionId") or "", e.findtext("{*}ETag") or "")
        for e in ET.fromstring(request.body).iterfind("{*}Object")
    ]
    assert named == lines
    assert dict(request.headers)["content-md5"] == base64.b64encode(hashlib.md5(request.body).digest()).decode()


def test_what_became_of_each_line_of_a_bulk_delete_is_told_in_its_order() -> None:
    body = b"""<DeleteResult><Deleted><Key>a</Key><DeleteMarker>true</DeleteMarker>
    <DeleteMarkerVersionId>m1</DeleteMarkerVersionId></Deleted>
    <Error><Key>c&amp;d</Key><Code>AccessDenied</Code><Message>no</Message></Error>
    <Deleted><Key>b</Key><VersionId>v2</VersionId></Deleted></DeleteResult>"""
    asked = op.DeleteObjects(
        "b", (op.DeleteKey("b", "v2"), op.DeleteKey("a"), op.DeleteKey("c&d"), op.DeleteKey("forgotten"))
    )
    told = wire.decode(asked, wire.Reply(200, {}, body)).keys
    assert [(line.key, line.marker_version_id, line.error_code) for line in told] == [
        ("b", "", ""),
        ("a", "m1", ""),
        ("c&d", "", "AccessDenied"),
        ("forgotten", "", "NotMentioned"),
    ]


@pytest.mark.parametrize(
    "operation",
    [
        op.CopyObject("b", "k", "v", "b", "k"),
        op.CompleteMultipartUpload("b", "k", "u", ()),
        op.UploadPartCopy("b", "k", "v", "b", "k", "u", 1, 0, 1),
    ],
    ids=lambda operation: type(operation).__name__,
)
def test_an_error_with_status_200_is_an_error(operation: op.Operation) -> None:
    body = b'<?xml version="1.0"?>\n\n<Error><Code>InternalError</Code><Message>try again</Message><RequestId>R1</RequestId></Error>'
    with pytest.raises(S3Error) as caught:
        wire.decode(operation, wire.Reply(200, {}, body))
    assert (caught.value.status, caught.value.code, caught.value.request_id) == (200, "InternalError", "R1")


@pytest.mark.parametrize("body", [b"", b"<CopyObjectResult>", b"<html>hello</html>"])
def test_a_copy_that_is_not_confirmed_is_no_success(body: bytes) -> None:
    with pytest.raises(S3Error):
        wire.decode(op.CopyObject("b", "k", "v", "b", "k"), wire.Reply(200, {}, body))


def test_a_file_that_begins_like_an_error_is_read_as_the_file_it_is() -> None:
    body = b"<Error><Code>none</Code></Error>"
    assert wire.decode(op.GetObject("b", "k"), wire.Reply(200, {"content-length": "32"}, body)).data == body


@pytest.mark.parametrize(
    ("status", "headers", "body", "code"),
    [
        (403, {}, b"<Error><Code>InvalidObjectState</Code></Error>", "InvalidObjectState"),
        (404, {}, b"", "NotFound"),
        (404, {"x-amz-delete-marker": "true"}, b"", "DeleteMarker"),
        (412, {}, b"", "PreconditionFailed"),
        (503, {}, b"<html>busy", "SlowDown"),
        (500, {}, b"", "Http500"),
    ],
)
def test_every_refusal_has_a_code(status: int, headers: dict[str, str], body: bytes, code: str) -> None:
    error = wire.error_of(op.HeadObject("b", "k"), wire.Reply(status, headers, body))
    assert (error.status, error.code, error.operation) == (status, code, "HeadObject")


def test_an_error_is_one_line_with_place_reason_and_request_id() -> None:
    body = b"<Error><Code>AccessDenied</Code><Message>Access\nDenied</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>"
    error = wire.error_of(op.GetObject("models", "m-1/a b"), wire.Reply(403, {}, body))
    assert str(error) == (
        "GetObject s3://models/m-1/a b: AccessDenied: Access Denied [request id 4442587FB7D0A2F9]"
        "; these credentials may not do this (--profile chooses others)"
    )


def test_a_head_that_is_denied_names_the_right_that_tells_absent_keys_apart() -> None:
    """S3 API reference, "HeadObject": without s3:ListBucket the answer for an absent key is 403 and not 404."""
    denied = wire.Reply(403, {}, b"")
    assert "s3:ListBucket" in str(wire.error_of(op.HeadObject("b", "k"), denied))
    assert "s3:ListBucket" not in str(wire.error_of(op.CopyObject("b", "k", "v", "b", "k"), denied))


def test_a_head_tells_all_that_a_copy_must_carry() -> None:
    headers = {
        "etag": '"e-2"',
        "content-length": "7",
        "last-modified": "Wed, 15 Nov 2023 22:13:20 GMT",
        "content-type": "text/plain",
        "expires": "never",
        "x-amz-website-redirect-location": "/x",
        "x-amz-meta-run": "12",
        "x-amz-version-id": "v",
        "x-amz-checksum-crc64nvme": "AAAA",
        "x-amz-checksum-type": "FULL_OBJECT",
        "x-amz-mp-parts-count": "2",
        "x-amz-tagging-count": "3",
        "x-amz-server-side-encryption": "aws:kms",
        "date": "Wed, 15 Nov 2023 22:13:21 GMT",
    }
    assert wire.decode(op.HeadObject("b", "k"), wire.Reply(200, headers)) == op.ObjectHead(
        etag="e-2",
        size=7,
        last_modified=1_700_086_400.0,
        version_id="v",
        storage_class="STANDARD",
        headers={"content-type": "text/plain", "expires": "never", "x-amz-website-redirect-location": "/x"},
        metadata={"run": "12"},
        checksums={"CRC64NVME": "AAAA"},
        checksum_type="FULL_OBJECT",
        tag_count=3,
        encryption="aws:kms",
    )


RANGE = {"content-length": "10", "content-range": "bytes 0-9/12345"}


def test_a_range_that_was_read_tells_the_size_of_the_whole() -> None:
    reply = wire.Reply(206, RANGE, b"0123456789")
    assert wire.decode(op.GetObject("b", "k", first=0, last=9), reply).size == 12_345


def test_a_head_of_a_part_tells_the_size_of_that_part() -> None:
    assert wire.decode(op.HeadObject("b", "k", part_number=1), wire.Reply(206, RANGE)).size == 10


@pytest.mark.parametrize("before", [b"", b" ", b"\n  \n"])
def test_spaces_sent_while_s3_was_working_change_neither_a_success_nor_an_error(before: bytes) -> None:
    declared = before + b'<?xml version="1.0" encoding="UTF-8"?>\n'
    complete = op.CompleteMultipartUpload("b", "k", "u", ())
    done = b"<CompleteMultipartUploadResult><ETag>e-2</ETag></CompleteMultipartUploadResult>"
    assert wire.decode(complete, wire.Reply(200, {}, declared + done)).etag == "e-2"
    failed = b"<Error><Code>InternalError</Code><Message>m</Message></Error>"
    with pytest.raises(S3Error) as caught:
        wire.decode(complete, wire.Reply(200, {}, declared + failed))
    assert caught.value.code == "InternalError"


def test_a_listing_asks_which_archived_versions_can_be_read() -> None:
    headers = dict(wire.encode(op.ListVersions("b")).headers)
    assert headers["x-amz-optional-object-attributes"] == "RestoreStatus"
