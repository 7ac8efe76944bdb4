"""Deleting many keys or markers, whatever their names.

Owns the choice of request: 1,000 lines go into one DeleteObjects, but its XML cannot name every key that S3 takes, so
some keys go alone (S3 User Guide, "Naming Amazon S3 objects", XML related object key constraints). Refuses to let one
line fail the others: a request refused for what is in it is cut in two.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from artifact_store.errors import S3Error
from artifact_store.s3.operations import Deleted, DeletedKey, DeleteKey, DeleteObject, DeleteObjects, DeleteResult, Job

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 has no way to write (Extensible Markup Language 1.0, "Characters")."""


def goes_alone(key: str) -> bool:
    """Whether a key cannot be named in the XML of a bulk delete."""
    return NOT_XML.search(key) is not None


def delete_lines(bucket: str, lines: Sequence[DeleteKey]) -> Job[list[DeletedKey]]:
    """Delete at most 1,000 lines; what became of each, in their order. Raises S3Error where all of them are refused."""
    told: dict[int, DeletedKey] = {}
    together = [index for index, line in enumerate(lines) if not goes_alone(line.key)]
    if together:
        found = yield from _bulk(bucket, [lines[index] for index in together])
        told.update(zip(together, found, strict=True))
    for index, line in enumerate(lines):
        if index not in told:
            told[index] = yield from _alone(bucket, line)
    return [told[index] for index in range(len(lines))]


def _bulk(bucket: str, lines: Sequence[DeleteKey]) -> Job[list[DeletedKey]]:
    try:
        result: DeleteResult = yield DeleteObjects(bucket, tuple(lines))
    except S3Error as error:
        # 400: something in the request is wrong, and nothing of it was done (MalformedXML, KeyTooLongError).
        if error.status != 400:
            raise
        if len(lines) == 1:
            return [(yield from _alone(bucket, lines[0]))]
        middle = len(lines) // 2
        first = yield from _bulk(bucket, lines[:middle])
        return first + (yield from _bulk(bucket, lines[middle:]))
    return list(result.keys)


def _alone(bucket: str, line: DeleteKey) -> Job[DeletedKey]:
    try:
        done: Deleted = yield DeleteObject(bucket, line.key, line.version_id, if_match=line.etag)
    except S3Error as error:
        if error.status in (0, 403):
            raise
        code = "PreconditionFailed" if error.status == 412 else error.code
        return DeletedKey(line.key, line.version_id, error_code=code, error_message=str(error))
    return DeletedKey(line.key, line.version_id, marker_version_id="" if line.version_id else done.marker_version_id)
