"""What the lifecycle rules of a bucket do to versions is told as S3 says it, and as unknown where it does not say."""

from __future__ import annotations

import pytest

from artifact_store.errors import S3Error
from artifact_store.history.expiry import told, when_removed
from artifact_store.s3 import operations as op
from artifact_store.s3 import wire
from artifact_store.s3.operations import Expiry
from tests.restore.memory import MemoryS3

RULES = b"""<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
<Rule><NoncurrentVersionTransition><NoncurrentDays>3</NoncurrentDays><StorageClass>GLACIER</StorageClass>
</NoncurrentVersionTransition><NoncurrentVersionExpiration><NewerNoncurrentVersions>5</NewerNoncurrentVersions>
<NoncurrentDays>90</NoncurrentDays></NoncurrentVersionExpiration><ID>a</ID><Filter><And><Prefix>m/</Prefix><Tag>
<Key>k</Key><Value>v</Value></Tag></And></Filter><Status>Enabled</Status></Rule>
<Rule><ID>b</ID><Prefix></Prefix><Status>Enabled</Status><NoncurrentVersionExpiration><NoncurrentDays>1</NoncurrentDays>
</NoncurrentVersionExpiration><NoncurrentVersionTransition><NoncurrentDays>9</NoncurrentDays></NoncurrentVersionTransition>
</Rule>
<Rule><ID>c</ID><Filter/><Status>Disabled</Status><NoncurrentVersionExpiration><NoncurrentDays>2</NoncurrentDays>
</NoncurrentVersionExpiration></Rule>
<Rule><ID>d</ID><Filter/><Status>Enabled</Status><Expiration><Days>5</Days></Expiration></Rule>
</LifecycleConfiguration>"""
FOUND = (Expiry("a", "m/", 90, 5, narrowed=True), Expiry("b", "", 1))


def test_rules_in_force_that_remove_versions_are_read_in_whatever_order_they_are_written() -> None:
    ask = op.GetBucketLifecycle("bkt")
    assert wire.decode(ask, wire.Reply(200, {}, RULES)).expiries == FOUND


def test_the_rules_that_apply_are_told_the_soonest_first() -> None:
    both = (
        "versions that are not current go after 1 day by rule b, and after 90 days by rule a but the newest 5 where its "
        "tags and sizes match"
    )
    assert told(FOUND, ["m/x"]) == both
    assert told(FOUND[:1], ["n/x"]) == "no lifecycle rule of it removes versions"


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, "NoSuchLifecycleConfiguration", "no lifecycle rule of it removes versions"),
        (403, "AccessDenied", "unknown (AccessDenied; s3:GetLifecycleConfiguration tells)"),
        (501, "NotImplemented", "unknown (NotImplemented; "),
    ],
)
def test_what_cannot_be_known_is_said_to_be_unknown(status: int, code: str, expected: str) -> None:
    s3 = MemoryS3()

    def refuse(sent: op.Operation) -> None:
        raise S3Error("no", status=status, code=code)

    s3.before = refuse
    assert expected in when_removed(s3, "bkt", ["m/x"])
