"""Operations as HTTP requests, and HTTP answers as results: pure, no socket and no signature.

Owns the encoding of keys, headers and bodies, and the reading of S3's XML. Refuses nothing: an answer that reports an
error, even with status 200, becomes an S3Error. Formats: S3 API reference.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from email.utils import parsedate_to_datetime
from functools import lru_cache
from time import perf_counter
from typing import Any
from urllib.parse import quote
from xml.parsers import expat

from artifact_store.errors import S3Error
from artifact_store.s3 import operations as op
from artifact_store.s3 import pages, xml

CARRIED = (
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-type",
    "expires",
    "x-amz-website-redirect-location",
)
"""System headers that belong to an object and that a multipart copy must name again."""
CHECKSUMS = ("CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256", "SHA512", "MD5", "XXHASH64")
LATE_ERRORS = (
    op.CopyObject,
    op.UploadPartCopy,
    op.CompleteMultipartUpload,
    op.ListVersions,
    op.ListObjects,
    op.DeleteObjects,
)
"""They may answer 200 and report an error in the body (API reference)."""
_PATH = re.compile(r"[A-Za-z0-9_.~/-]*")
_ERROR_ROOT = re.compile(rb"\s*(?:<\?xml[^>]*\?>)?\s*<Error[\s>]")


@dataclass(frozen=True, slots=True)
class Request:
    """key None: the bucket itself. query: already encoded, without "?"."""

    operation: str
    method: str
    bucket: str
    key: str | None
    query: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""

    def path(self, prefix: str) -> str:
        """The request target below an endpoint's path prefix ("" or "/bucket")."""
        path = f"{prefix}/{quote(self.key, safe='/~')}" if self.key is not None else prefix or "/"
        return f"{path}?{self.query}" if self.query else path


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer as it came. headers: lower-case names."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


def encode(operation: op.Operation) -> Request:
    return _CODERS[type(operation)][0](operation)


def decode(operation: op.Operation, reply: Reply) -> op.Answer:
    """Raises S3Error where the answer reports one, also in the body of a status 200 that was sent before the work."""
    if reply.status >= 300 or (isinstance(operation, LATE_ERRORS) and _ERROR_ROOT.match(reply.body)):
        raise error_of(operation, reply)
    try:
        return _CODERS[type(operation)][1](operation, reply)
    except (KeyError, ValueError, expat.ExpatError) as error:
        text = f"{name(operation)} {place(operation)}: the answer cannot be read ({type(error).__name__}: {error})"
        raise S3Error(text, status=reply.status, code="Truncated", operation=name(operation)) from error


def name(operation: op.Operation) -> str:
    """The operation's name in the S3 API."""
    kind = type(operation).__name__
    return {
        "ListVersions": "ListObjectVersions",
        "ListObjects": "ListObjectsV2",
        "PutLegalHold": "PutObjectLegalHold",
        "GetBucketLifecycle": "GetBucketLifecycleConfiguration",
    }.get(kind, kind)


def place(operation: op.Operation) -> str:
    """Where an operation works, for messages."""
    bucket = operation.bucket
    key = getattr(operation, "key", getattr(operation, "prefix", ""))
    return f"s3://{bucket}/{key}"


def error_of(operation: op.Operation, reply: Reply) -> S3Error:
    """What S3 said, in one line with the request id."""
    fields = xml.flat(reply.body) if reply.body.lstrip()[:1] == b"<" else {}
    by_status = {404: "NotFound", 403: "Forbidden", 412: "PreconditionFailed", 503: "SlowDown", 304: "NotModified"}
    code = fields.get("Code") or by_status.get(reply.status, f"Http{reply.status}")
    if isinstance(operation, op.HeadObject | op.GetObject) and reply.headers.get("x-amz-delete-marker") == "true":
        code = "DeleteMarker"
    request_id = fields.get("RequestId") or reply.headers.get("x-amz-request-id", "")
    said = " ".join(fields.get("Message", "").split())
    hint = _hint(code, reply.headers.get("x-amz-bucket-region") or fields.get("Region", ""))
    if isinstance(operation, op.HeadObject) and reply.status == 403:
        hint += "; without s3:ListBucket S3 says this of a key that is not there, too"
    text = f"{name(operation)} {place(operation)}: {code}"
    text += f": {said}" if said else f" (status {reply.status})"
    text += f" [request id {request_id}]" if request_id else ""
    return S3Error(text + hint, status=reply.status, code=code, request_id=request_id, operation=name(operation))


def _hint(code: str, region: str) -> str:
    if code in ("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException") and region:
        return f"; the bucket is in {region}: add --region {region}"
    return {
        "NoSuchBucket": "; look at the spelling, the account (--profile) and the endpoint (--endpoint-url)",
        "AccessDenied": "; these credentials may not do this (--profile chooses others)",
        "Forbidden": "; these credentials may not do this (--profile chooses others)",
        "ExpiredToken": "; the credentials have expired: sign in again",
        "InvalidAccessKeyId": "; these credentials are unknown there (--profile, --endpoint-url)",
        "SignatureDoesNotMatch": "; the secret key is wrong, or a proxy changed the request",
        "RequestTimeTooSkewed": "; this machine's clock is wrong: set it",
    }.get(code, "")


# Each coder is a pair: operation -> Request, and (operation, Reply) -> result.


def _list_versions(o: op.ListVersions) -> Request:
    query = {"versions": "", "key-marker": o.key_marker, "version-id-marker": o.version_id_marker}
    headers = (("x-amz-optional-object-attributes", "RestoreStatus"),)
    return Request("ListObjectVersions", "GET", o.bucket, None, _listing(o, query), headers)


def _version_page(_: op.ListVersions, reply: Reply) -> op.VersionPage:
    return _read(pages.parse_versions, reply)


def _list_objects(o: op.ListObjects) -> Request:
    query = {"list-type": "2", "start-after": o.key_marker}
    return Request("ListObjectsV2", "GET", o.bucket, None, _listing(o, query))


def _listing(o: op.ListVersions | op.ListObjects, query: Mapping[str, str]) -> str:
    """The query of a listing. Only `versions` means something though it is empty."""
    shared = {"encoding-type": "url", "max-keys": str(o.max_keys), "prefix": o.prefix, "delimiter": o.delimiter}
    return _query({name: value for name, value in {**shared, **query}.items() if value or name == "versions"})


def _object_page(_: op.ListObjects, reply: Reply) -> op.VersionPage:
    return _read(pages.parse_objects, reply)


def _read(parse: Callable[[bytes, float], op.VersionPage], reply: Reply) -> op.VersionPage:
    began = perf_counter()
    page = parse(reply.body, _date(reply.headers))
    return replace(page, read_in=perf_counter() - began)


def _get_bucket_versioning(o: op.GetBucketVersioning) -> Request:
    return Request("GetBucketVersioning", "GET", o.bucket, None, "versioning=")


def _bucket_versioning(_: op.GetBucketVersioning, reply: Reply) -> op.BucketVersioning:
    return op.BucketVersioning(xml.flat(reply.body).get("Status", ""), _date(reply.headers))


def _get_bucket_lifecycle(o: op.GetBucketLifecycle) -> Request:
    return Request("GetBucketLifecycleConfiguration", "GET", o.bucket, None, "lifecycle=")


def _bucket_lifecycle(_: op.GetBucketLifecycle, reply: Reply) -> op.BucketLifecycle:
    rules: list[list[tuple[str, dict[str, str]]]] = []
    # A day's number has the same name in each: the parts are told apart, and what follows one is put to it.
    for kind, fields in xml.records(reply.body, ("Rule", "NoncurrentVersionExpiration", "NoncurrentVersionTransition")):
        if kind == "Rule":
            rules.append([])
        rules[-1].append((kind, fields))
    found = []
    for parts in rules:
        every = {name: value for _, fields in reversed(parts) for name, value in fields.items()}
        ends = next((fields for kind, fields in parts if kind == "NoncurrentVersionExpiration"), None)
        if ends is not None and every.get("Status") == "Enabled":
            narrowed = not every.keys().isdisjoint({"Key", "ObjectSizeGreaterThan", "ObjectSizeLessThan"})
            days, keeps = int(ends["NoncurrentDays"]), int(ends.get("NewerNoncurrentVersions", "0"))
            found.append(op.Expiry(every.get("ID", ""), every.get("Prefix", ""), days, keeps, narrowed))
    return op.BucketLifecycle(tuple(found))


def _get_object_lock_configuration(o: op.GetObjectLockConfiguration) -> Request:
    return Request("GetObjectLockConfiguration", "GET", o.bucket, None, "object-lock=")


def _object_lock_configuration(_: op.GetObjectLockConfiguration, reply: Reply) -> op.ObjectLockConfiguration:
    return op.ObjectLockConfiguration(xml.flat(reply.body).get("ObjectLockEnabled") == "Enabled")


def _head_object(o: op.HeadObject) -> Request:
    query = {"partNumber": str(o.part_number)} if o.part_number else {}
    headers = [("x-amz-checksum-mode", "ENABLED")] if o.checksum else []
    return _object("HeadObject", "HEAD", o.bucket, o.key, headers, _version(o.version_id, query))


def _object_head(_: op.HeadObject, reply: Reply) -> op.ObjectHead:
    headers = reply.headers
    sums = {n: v for n in CHECKSUMS if (v := headers.get(f"x-amz-checksum-{n.lower()}"))}
    modified = headers.get("last-modified", "")
    return op.ObjectHead(
        etag=_etag(headers),
        # HEAD with a part number tells that part's length, and S3 adds the range it lies in; so the length counts.
        size=int(headers.get("content-length", "0")),
        last_modified=parsedate_to_datetime(modified).timestamp() if modified else 0.0,
        version_id=headers.get("x-amz-version-id", ""),
        storage_class=headers.get("x-amz-storage-class", "STANDARD"),
        headers={n: headers[n] for n in CARRIED if n in headers},
        metadata={n.removeprefix("x-amz-meta-"): v for n, v in headers.items() if n.startswith("x-amz-meta-")},
        checksums=sums,
        checksum_type=headers.get("x-amz-checksum-type", ""),
        tag_count=int(headers.get("x-amz-tagging-count", "0")),
        encryption=headers.get("x-amz-server-side-encryption", ""),
    )


def _etag(headers: Mapping[str, str]) -> str:
    return headers.get("etag", "").strip('"')


def _get_object(o: op.GetObject) -> Request:
    headers = []
    if o.first is not None or o.last is not None:
        headers.append(("range", f"bytes={o.first or 0}-{'' if o.last is None else o.last}"))
    if o.if_match:
        headers.append(("if-match", f'"{o.if_match}"'))
    return _object("GetObject", "GET", o.bucket, o.key, headers, _version(o.version_id))


def _object_body(o: op.GetObject, reply: Reply) -> op.ObjectBody:
    expected = reply.headers.get("content-length")
    if expected is not None and int(expected) != len(reply.body):
        text = f"GetObject {place(o)}: {len(reply.body)} of {expected} bytes came"
        raise S3Error(text, code="Truncated", operation="GetObject")
    total = re.search(r"/(\d+)$", reply.headers.get("content-range", ""))
    size = int(total[1]) if total else len(reply.body)
    return op.ObjectBody(reply.body, size, _etag(reply.headers))


def _copy_object(o: op.CopyObject) -> Request:
    headers = [("x-amz-copy-source", _source(o.source_bucket, o.source_key, o.source_version_id))]
    if o.source_etag:
        headers.append(("x-amz-copy-source-if-match", f'"{o.source_etag}"'))
    headers += _conditions(o.if_match, o.if_none_match)
    if o.storage_class:
        headers.append(("x-amz-storage-class", o.storage_class))
    if o.checksum_algorithm:
        headers.append(("x-amz-checksum-algorithm", o.checksum_algorithm))
    return _object("CopyObject", "PUT", o.bucket, o.key, headers)


def _written(_: op.Operation, reply: Reply) -> op.Written:
    fields = xml.flat(reply.body) if reply.body.lstrip()[:1] == b"<" else {}
    sums = {n: fields[f"Checksum{n}"] for n in CHECKSUMS if fields.get(f"Checksum{n}")}
    etag = fields.get("ETag") or reply.headers.get("etag", "")
    if not etag:
        raise ValueError("no ETag")
    return op.Written(etag.strip('"'), reply.headers.get("x-amz-version-id", ""), sums)


def _put_object(o: op.PutObject) -> Request:
    headers = [*o.headers.items(), *_metadata(o.metadata), *_conditions(o.if_match, o.if_none_match)]
    if o.storage_class:
        headers.append(("x-amz-storage-class", o.storage_class))
    return _object("PutObject", "PUT", o.bucket, o.key, headers, body=o.data)


def _delete_object(o: op.DeleteObject) -> Request:
    return _object("DeleteObject", "DELETE", o.bucket, o.key, _conditions(o.if_match, False), _version(o.version_id))


def _deleted(_: op.DeleteObject, reply: Reply) -> op.Deleted:
    marker = reply.headers.get("x-amz-delete-marker") == "true"
    return op.Deleted(reply.headers.get("x-amz-version-id", ""), marker)


def _delete_objects(o: op.DeleteObjects) -> Request:
    lines = []
    for line in o.keys:
        version = f"<VersionId>{xml.text(line.version_id)}</VersionId>" if line.version_id else ""
        etag = f"<ETag>{xml.text(line.etag)}</ETag>" if line.etag else ""
        lines.append(f"<Object><Key>{xml.text(line.key)}</Key>{version}{etag}</Object>")
    body = f'<Delete xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{"".join(lines)}</Delete>'.encode()
    # S3 demands a digest of this body (DeleteObjects, API reference).
    md5 = base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode("ascii")
    return Request("DeleteObjects", "POST", o.bucket, None, "delete=", (("content-md5", md5),), body)


def _delete_result(o: op.DeleteObjects, reply: Reply) -> op.DeleteResult:
    told: dict[tuple[str, str], dict[str, str]] = {}
    for kind, fields in xml.records(reply.body, ("Deleted", "Error")):
        told[fields.get("Key", ""), fields.get("VersionId", "")] = {**fields, "kind": kind}
    lines = []
    for line in o.keys:
        # Where a server writes a bare CR, XML makes it LF.
        read_as = line.key.replace("\r\n", "\n").replace("\r", "\n")
        alike = ((key, version) for key in (line.key, read_as) for version in (line.version_id, ""))
        fields = next((told[one] for one in alike if one in told), {})
        failed = fields.get("kind") != "Deleted"
        lines.append(
            op.DeletedKey(
                key=line.key,
                version_id=line.version_id,
                marker_version_id=fields.get("DeleteMarkerVersionId", ""),
                error_code=(fields.get("Code") or "NotMentioned") if failed else "",
                error_message=(fields.get("Message") or "the answer does not mention this key") if failed else "",
            )
        )
    return op.DeleteResult(tuple(lines))


def _get_object_tagging(o: op.GetObjectTagging) -> Request:
    return _object("GetObjectTagging", "GET", o.bucket, o.key, (), _version(o.version_id, {"tagging": ""}))


def _tags(_: op.GetObjectTagging, reply: Reply) -> op.Tags:
    return op.Tags({fields["Key"]: fields.get("Value", "") for _, fields in xml.records(reply.body, ("Tag",))})


def _create_multipart_upload(o: op.CreateMultipartUpload) -> Request:
    headers = [*o.headers.items(), *_metadata(o.metadata)]
    if o.tags:
        headers.append(
            ("x-amz-tagging", "&".join(f"{quote(k, safe='')}={quote(v, safe='')}" for k, v in o.tags.items()))
        )
    if o.storage_class:
        headers.append(("x-amz-storage-class", o.storage_class))
    if o.checksum_algorithm:
        headers.append(("x-amz-checksum-algorithm", o.checksum_algorithm))
    if o.checksum_type:
        headers.append(("x-amz-checksum-type", o.checksum_type))
    return _object("CreateMultipartUpload", "POST", o.bucket, o.key, headers, {"uploads": ""})


def _multipart_upload(_: op.CreateMultipartUpload, reply: Reply) -> op.MultipartUpload:
    return op.MultipartUpload(xml.flat(reply.body)["UploadId"])


def _upload_part(o: op.UploadPart) -> Request:
    query = {"partNumber": str(o.part_number), "uploadId": o.upload_id}
    return _object("UploadPart", "PUT", o.bucket, o.key, (), query, o.data)


def _upload_part_copy(o: op.UploadPartCopy) -> Request:
    headers = [
        ("x-amz-copy-source", _source(o.source_bucket, o.source_key, o.source_version_id)),
        ("x-amz-copy-source-range", f"bytes={o.first}-{o.last}"),
    ]
    if o.source_etag:
        headers.append(("x-amz-copy-source-if-match", f'"{o.source_etag}"'))
    query = {"partNumber": str(o.part_number), "uploadId": o.upload_id}
    return _object("UploadPartCopy", "PUT", o.bucket, o.key, headers, query)


def _complete_multipart_upload(o: op.CompleteMultipartUpload) -> Request:
    lines = []
    for number, part in o.parts:
        sums = "".join(f"<Checksum{n}>{xml.text(v)}</Checksum{n}>" for n, v in part.checksums.items())
        lines.append(f'<Part><PartNumber>{number}</PartNumber><ETag>"{xml.text(part.etag)}"</ETag>{sums}</Part>')
    body = (
        '<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"{''.join(lines)}</CompleteMultipartUpload>"
    )
    headers = _conditions(o.if_match, o.if_none_match)
    query = {"uploadId": o.upload_id}
    return _object("CompleteMultipartUpload", "POST", o.bucket, o.key, headers, query, body.encode())


def _abort_multipart_upload(o: op.AbortMultipartUpload) -> Request:
    return _object("AbortMultipartUpload", "DELETE", o.bucket, o.key, (), {"uploadId": o.upload_id})


def _aborted(_: op.AbortMultipartUpload, __: Reply) -> op.Aborted:
    return op.Aborted()


def _restore_object(o: op.RestoreObject) -> Request:
    body = (
        '<RestoreRequest xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
        f"<Days>{o.days}</Days><GlacierJobParameters><Tier>{o.tier}</Tier></GlacierJobParameters></RestoreRequest>"
    )
    query = _version(o.version_id, {"restore": ""})
    return _object("RestoreObject", "POST", o.bucket, o.key, (), query, body.encode())


def _restore_started(_: op.RestoreObject, __: Reply) -> op.RestoreStarted:
    return op.RestoreStarted()


def _put_legal_hold(o: op.PutLegalHold) -> Request:
    body = b'<LegalHold xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Status>ON</Status></LegalHold>'
    headers = [("content-md5", base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode())]
    return _object(
        "PutObjectLegalHold", "PUT", o.bucket, o.key, headers, _version(o.version_id, {"legal-hold": ""}), body
    )


def _held(_: op.PutLegalHold, __: Reply) -> op.Held:
    return op.Held()


_CODERS: dict[type, tuple[Callable[[Any], Request], Callable[[Any, Reply], Any]]] = {
    op.ListVersions: (_list_versions, _version_page),
    op.ListObjects: (_list_objects, _object_page),
    op.GetBucketVersioning: (_get_bucket_versioning, _bucket_versioning),
    op.GetBucketLifecycle: (_get_bucket_lifecycle, _bucket_lifecycle),
    op.GetObjectLockConfiguration: (_get_object_lock_configuration, _object_lock_configuration),
    op.HeadObject: (_head_object, _object_head),
    op.GetObject: (_get_object, _object_body),
    op.CopyObject: (_copy_object, _written),
    op.PutObject: (_put_object, _written),
    op.DeleteObject: (_delete_object, _deleted),
    op.DeleteObjects: (_delete_objects, _delete_result),
    op.GetObjectTagging: (_get_object_tagging, _tags),
    op.CreateMultipartUpload: (_create_multipart_upload, _multipart_upload),
    op.UploadPart: (_upload_part, _written),
    op.UploadPartCopy: (_upload_part_copy, _written),
    op.CompleteMultipartUpload: (_complete_multipart_upload, _written),
    op.AbortMultipartUpload: (_abort_multipart_upload, _aborted),
    op.RestoreObject: (_restore_object, _restore_started),
    op.PutLegalHold: (_put_legal_hold, _held),
}


def _object(
    operation: str,
    method: str,
    bucket: str,
    key: str,
    headers: Sequence[tuple[str, str]] = (),
    query: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Request:
    return Request(operation, method, bucket, key, _query(query or {}), tuple(headers), body)


def _query(parameters: Mapping[str, str]) -> str:
    return "&".join(f"{k}={_quoted(v)}" for k, v in sorted(parameters.items()))


def _quoted(value: str) -> str:
    """As `quote` does with nothing safe, and much quicker on common keys: a listing of small pages feels it."""
    return value.replace("/", "%2F") if _PATH.fullmatch(value) else quote(value, safe="")


def _version(version_id: str, query: Mapping[str, str] | None = None) -> dict[str, str]:
    return {**(query or {}), **({"versionId": version_id} if version_id else {})}


def _source(bucket: str, key: str, version_id: str) -> str:
    return f"{bucket}/{quote(key, safe='/~')}" + (f"?versionId={quote(version_id, safe='')}" if version_id else "")


def _conditions(if_match: str, if_none_match: bool) -> list[tuple[str, str]]:
    return ([("if-match", f'"{if_match}"')] if if_match else []) + ([("if-none-match", "*")] if if_none_match else [])


def _metadata(metadata: Mapping[str, str]) -> list[tuple[str, str]]:
    return [(f"x-amz-meta-{name}", value) for name, value in metadata.items()]


def _date(headers: Mapping[str, str]) -> float:
    return _seconds(headers.get("date", ""))


@lru_cache(maxsize=8)
def _seconds(date: str) -> float:
    """Since the epoch, 0.0 where it is no date. Answers come many in a second."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return 0.0
