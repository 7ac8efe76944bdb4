"""S3 buckets and the settings beside them, as Pulumi's AWS provider names them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from artifact_store.embedded.table import Aws, Kind, Name, Props, Shape, told
from artifact_store.errors import Refused


def _create_bucket(aws: Aws, props: Props) -> str:
    region = props["region"]
    if _look_bucket(aws, props["bucket"], props) is not None:
        # In us-east-1 S3 answers 200 to an owner who creates a bucket twice, and two programs would own it.
        raise Refused(f"bucket {props['bucket']} exists already; import it, or choose another name")
    place = {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}
    aws("s3", region).create_bucket(Bucket=props["bucket"], **place)
    _tag_bucket(aws, props["bucket"], props)
    return str(props["bucket"])


def _look_bucket(aws: Aws, name: str, props: Props) -> Props | None:
    if told(lambda: aws("s3", props["region"]).head_bucket(Bucket=name), "404", "NoSuchBucket") is None:
        return None
    tags = told(lambda: aws("s3", props["region"]).get_bucket_tagging(Bucket=name), "NoSuchTagSet")
    return {
        "bucket": name,
        "arn": f"arn:aws:s3:::{name}",
        "bucketDomainName": f"{name}.s3.amazonaws.com",
        "tags": {tag["Key"]: tag["Value"] for tag in tags["TagSet"]} if tags else None,
    }


def _tag_bucket(aws: Aws, name: str, props: Props) -> None:
    tags = [{"Key": k, "Value": v} for k, v in (props.get("tags") or {}).items()]
    s3 = aws("s3", props["region"])
    if tags:
        s3.put_bucket_tagging(Bucket=name, Tagging={"TagSet": tags})
    else:
        s3.delete_bucket_tagging(Bucket=name)


def _delete_bucket(aws: Aws, name: str, props: Props) -> None:
    s3 = aws("s3", props["region"])
    if props.get("forceDestroy"):
        for page in s3.get_paginator("list_object_versions").paginate(Bucket=name):
            entries = [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            objects = [{"Key": entry["Key"], "VersionId": entry["VersionId"]} for entry in entries]
            if objects:
                s3.delete_objects(Bucket=name, Delete={"Objects": objects, "Quiet": True})
    s3.delete_bucket(Bucket=name)


def _beside(
    token: str,
    required: set[str],
    optional: set[str],
    put: Callable[[Any, str, Props], Any],
    look: Callable[[Any, str], Props | None],
    delete: Callable[[Any, str], Any],
    **shapes: Shape,
) -> Kind:
    """A setting of a bucket: known by the bucket's name, put whole, replaced with the bucket."""

    def create(aws: Aws, props: Props) -> str:
        put(aws("s3", props["region"]), props["bucket"], props)
        return str(props["bucket"])

    def read(aws: Aws, name: str, props: Props) -> Props | None:
        s3 = aws("s3", props["region"])
        if told(lambda: s3.head_bucket(Bucket=name), "404", "NoSuchBucket") is None:
            return None
        found = look(s3, name)
        return None if found is None else {"bucket": name, **found}

    return Kind(
        token=token,
        inputs=frozenset({"bucket", *required, *optional}),
        required=frozenset({"bucket", *required}),
        replaces=frozenset({"bucket"}),
        create=create,
        look=read,
        update=lambda aws, name, props: put(aws("s3", props["region"]), name, props),
        delete=lambda aws, name, props: delete(aws("s3", props["region"]), name),
        imports=lambda name: (name, {"bucket": name}),
        shapes=shapes,
    )


def _look_versioning(s3: Any, name: str) -> Props | None:
    status = s3.get_bucket_versioning(Bucket=name).get("Status")
    return {"versioningConfiguration": {"status": status}} if status else None


def _look_access(s3: Any, name: str) -> Props | None:
    found = told(lambda: s3.get_public_access_block(Bucket=name), "NoSuchPublicAccessBlockConfiguration")
    if found is None:
        return None
    return {_lower(k): v for k, v in found["PublicAccessBlockConfiguration"].items()}


def _put_encryption(s3: Any, name: str, props: Props) -> None:
    rules = []
    for rule in props["rules"]:
        default = rule["applyServerSideEncryptionByDefault"]
        by_default = {"SSEAlgorithm": default["sseAlgorithm"]}
        if default.get("kmsMasterKeyId"):
            by_default["KMSMasterKeyID"] = default["kmsMasterKeyId"]
        rules.append(
            {
                "ApplyServerSideEncryptionByDefault": by_default,
                "BucketKeyEnabled": bool(rule.get("bucketKeyEnabled")),
            }
        )
    s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})


def _look_encryption(s3: Any, name: str) -> Props | None:
    found = told(lambda: s3.get_bucket_encryption(Bucket=name), "ServerSideEncryptionConfigurationNotFoundError")
    if found is None:
        return None
    rules = []
    for rule in found["ServerSideEncryptionConfiguration"]["Rules"]:
        default = rule["ApplyServerSideEncryptionByDefault"]
        by_default = {"sseAlgorithm": default["SSEAlgorithm"], "kmsMasterKeyId": default.get("KMSMasterKeyID")}
        rules.append(
            {
                "applyServerSideEncryptionByDefault": by_default,
                "bucketKeyEnabled": rule.get("BucketKeyEnabled"),
            }
        )
    return {"rules": rules}


def _look_policy(s3: Any, name: str) -> Props | None:
    found = told(lambda: s3.get_bucket_policy(Bucket=name), "NoSuchBucketPolicy")
    return None if found is None else {"policy": found["Policy"]}


def _put_policy(s3: Any, name: str, props: Props) -> None:
    json.loads(props["policy"])
    s3.put_bucket_policy(Bucket=name, Policy=props["policy"])


LIFECYCLE = {
    "abortIncompleteMultipartUpload": (
        "AbortIncompleteMultipartUpload",
        {"daysAfterInitiation": "DaysAfterInitiation"},
    ),
    "noncurrentVersionExpiration": ("NoncurrentVersionExpiration", {"noncurrentDays": "NoncurrentDays"}),
    "expiration": ("Expiration", {"expiredObjectDeleteMarker": "ExpiredObjectDeleteMarker"}),
}


def _put_lifecycle(s3: Any, name: str, props: Props) -> None:
    rules = []
    for rule in props["rules"]:
        made = {"ID": rule["id"], "Status": rule["status"], "Filter": {"Prefix": rule["filter"].get("prefix", "")}}
        for ours, (theirs, fields) in LIFECYCLE.items():
            if rule.get(ours):
                made[theirs] = {
                    fields[k]: int(v) if fields[k].endswith(("Days", "on")) else v for k, v in rule[ours].items()
                }
        rules.append(made)
    s3.put_bucket_lifecycle_configuration(Bucket=name, LifecycleConfiguration={"Rules": rules})


def _look_lifecycle(s3: Any, name: str) -> Props | None:
    found = told(lambda: s3.get_bucket_lifecycle_configuration(Bucket=name), "NoSuchLifecycleConfiguration")
    if found is None:
        return None
    rules = []
    for rule in found["Rules"]:
        made: Props = {
            "id": rule["ID"],
            "status": rule["Status"],
            "filter": {"prefix": rule["Filter"].get("Prefix", "")},
        }
        for ours, (theirs, fields) in LIFECYCLE.items():
            if rule.get(theirs):
                made[ours] = {k: rule[theirs][v] for k, v in fields.items() if v in rule[theirs]}
        rules.append(made)
    return {"rules": rules}


def _put_notification(s3: Any, name: str, props: Props) -> None:
    config: Props = {"EventBridgeConfiguration": {}} if props.get("eventbridge") else {}
    s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration=config)


def _look_notification(s3: Any, name: str) -> Props:
    found = s3.get_bucket_notification_configuration(Bucket=name)
    return {"eventbridge": "EventBridgeConfiguration" in found}


def _lower(word: str) -> str:
    return word[:1].lower() + word[1:]


ACCESS = ("blockPublicAcls", "blockPublicPolicy", "ignorePublicAcls", "restrictPublicBuckets")
KINDS = (
    Kind(
        token="aws:s3/bucket:Bucket",
        inputs=frozenset({"bucket", "forceDestroy", "tags"}),
        required=frozenset(),
        replaces=frozenset({"bucket"}),
        create=_create_bucket,
        look=_look_bucket,
        update=_tag_bucket,
        delete=_delete_bucket,
        computed=("arn", "bucketDomainName"),
        name=Name("bucket", 63, lower=True),
        imports=lambda name: (name, {"bucket": name}),
    ),
    _beside(
        "aws:s3/bucketVersioning:BucketVersioning",
        {"versioningConfiguration"},
        set(),
        lambda s3, name, props: s3.put_bucket_versioning(
            Bucket=name, VersioningConfiguration={"Status": props["versioningConfiguration"]["status"]}
        ),
        _look_versioning,
        lambda s3, name: s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"}),
        versioningConfiguration={"status": None},
    ),
    _beside(
        "aws:s3/bucketOwnershipControls:BucketOwnershipControls",
        {"rule"},
        set(),
        lambda s3, name, props: s3.put_bucket_ownership_controls(
            Bucket=name, OwnershipControls={"Rules": [{"ObjectOwnership": props["rule"]["objectOwnership"]}]}
        ),
        lambda s3, name: (
            None
            if (f := told(lambda: s3.get_bucket_ownership_controls(Bucket=name), "OwnershipControlsNotFoundError"))
            is None
            else {"rule": {"objectOwnership": f["OwnershipControls"]["Rules"][0]["ObjectOwnership"]}}
        ),
        lambda s3, name: s3.delete_bucket_ownership_controls(Bucket=name),
        rule={"objectOwnership": None},
    ),
    _beside(
        "aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock",
        set(),
        set(ACCESS),
        lambda s3, name, props: s3.put_public_access_block(
            Bucket=name,
            PublicAccessBlockConfiguration={k[:1].upper() + k[1:]: bool(props.get(k)) for k in ACCESS},
        ),
        _look_access,
        lambda s3, name: s3.delete_public_access_block(Bucket=name),
    ),
    _beside(
        "aws:s3/bucketServerSideEncryptionConfiguration:BucketServerSideEncryptionConfiguration",
        {"rules"},
        set(),
        _put_encryption,
        _look_encryption,
        lambda s3, name: s3.delete_bucket_encryption(Bucket=name),
        rules={
            "applyServerSideEncryptionByDefault": {"sseAlgorithm": None, "kmsMasterKeyId": None},
            "bucketKeyEnabled": None,
        },
    ),
    _beside(
        "aws:s3/bucketPolicy:BucketPolicy",
        {"policy"},
        set(),
        _put_policy,
        _look_policy,
        lambda s3, name: s3.delete_bucket_policy(Bucket=name),
    ),
    _beside(
        "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration",
        {"rules"},
        set(),
        _put_lifecycle,
        _look_lifecycle,
        lambda s3, name: s3.delete_bucket_lifecycle(Bucket=name),
        rules={
            "id": None,
            "status": None,
            "filter": {"prefix": None},
            **{block: dict.fromkeys(fields) for block, (_, fields) in LIFECYCLE.items()},
        },
    ),
    _beside(
        "aws:s3/bucketNotification:BucketNotification",
        set(),
        {"eventbridge"},
        _put_notification,
        _look_notification,
        lambda s3, name: s3.put_bucket_notification_configuration(Bucket=name, NotificationConfiguration={}),
    ),
)
