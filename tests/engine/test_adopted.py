"""Taking over a bucket that exists, with models in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pulumi.automation import CommandError, Stack

from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws
from tests.engine.conftest import PROJECT
from tests.engine.looking import Steps, client, everything

BUCKET = "models-of-last-year"
TAGS = [{"Key": "team", "Value": "vision"}]


@pytest.fixture(scope="module")
def steps() -> Steps:
    return Steps()


@pytest.fixture(scope="module")
def adopted(aws: EmbeddedAws, steps: Steps) -> Iterator[Stack]:
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_tagging(Bucket=BUCKET, Tagging={"TagSet": TAGS})
    s3.put_object(Bucket=BUCKET, Key="m/weights", Body=b"precious")
    config = {"artifact-store:bucket": {"adopt": BUCKET, "encryption": "SSE-KMS"}}
    with deploy.engine(PROJECT, "dev", aws, config) as stack:
        stack.up(on_event=steps)
        yield stack


def there(aws: EmbeddedAws) -> bytes:
    body: bytes = client(aws, "s3").get_object(Bucket=BUCKET, Key="m/weights")["Body"].read()
    return body


def test_the_bucket_is_imported_and_made_ready_with_its_models_in_it(
    adopted: Stack, aws: EmbeddedAws, steps: Steps
) -> None:
    s3 = client(aws, "s3")
    assert steps.of("models") == ["import"]
    assert adopted.outputs()["bucket"].value == BUCKET
    assert there(aws) == b"precious"
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    assert "EventBridgeConfiguration" in s3.get_bucket_notification_configuration(Bucket=BUCKET)
    assert set(adopted.up().summary.resource_changes or {}) == {"same"}
    assert set(adopted.refresh().summary.resource_changes or {}) == {"same"}
    assert s3.get_bucket_tagging(Bucket=BUCKET)["TagSet"] == TAGS


def settings(aws: EmbeddedAws) -> dict[str, object]:
    s3 = client(aws, "s3")
    asked = {
        "versioning": s3.get_bucket_versioning,
        "notifications": s3.get_bucket_notification_configuration,
        "access": s3.get_public_access_block,
        "ownership": s3.get_bucket_ownership_controls,
        "encryption": s3.get_bucket_encryption,
        "lifecycle": s3.get_bucket_lifecycle_configuration,
        "policy": s3.get_bucket_policy,
    }
    return {
        name: {k: v for k, v in ask(Bucket=BUCKET).items() if k != "ResponseMetadata"} for name, ask in asked.items()
    }


def test_a_throw_away_stack_goes_and_leaves_an_adopted_bucket_as_it_set_it_with_the_key_of_its_models(
    adopted: Stack, aws: EmbeddedAws
) -> None:
    before = settings(aws)
    assert before["versioning"] == {"Status": "Enabled"}
    [alias] = [a for a in everything(aws)["aliases in us-east-1"] if "models" in a]
    key = client(aws, "kms").describe_key(KeyId=alias)["KeyMetadata"]["KeyId"]
    adopted.destroy()
    assert there(aws) == b"precious"
    assert settings(aws) == before
    assert everything(aws) == {"buckets": [BUCKET], "keys in us-east-1": [key], "aliases in us-east-1": [alias]}


def test_a_bucket_that_is_not_there_cannot_be_adopted(aws: EmbeddedAws) -> None:
    config = {"artifact-store:bucket": {"adopt": "no-such-bucket"}}
    with (
        deploy.engine(PROJECT, "dev", aws, config) as stack,
        pytest.raises(CommandError, match="'no-such-bucket' does not exist"),
    ):
        stack.preview()
