"""Taking over a bucket that exists, with models in it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pulumi.automation import CommandError, Stack

from artifact_store.embedded import deploy
from artifact_store.embedded.cloud import EmbeddedAws
from tests.engine.conftest import PROJECT
from tests.engine.looking import Steps, client

BUCKET = "models-of-last-year"


@pytest.fixture(scope="module")
def steps() -> Steps:
    return Steps()


@pytest.fixture(scope="module")
def adopted(aws: EmbeddedAws, steps: Steps) -> Iterator[Stack]:
    s3 = client(aws, "s3")
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="m/weights", Body=b"precious")
    with deploy.engine(PROJECT, "dev", aws, {"artifact-store:bucket": {"adopt": BUCKET}}) as stack:
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


def test_even_a_throw_away_stack_never_deletes_an_adopted_bucket(adopted: Stack, aws: EmbeddedAws) -> None:
    with pytest.raises(CommandError, match="because it is protected"):
        adopted.destroy()
    assert there(aws) == b"precious"


def test_a_bucket_that_is_not_there_cannot_be_adopted(aws: EmbeddedAws) -> None:
    config = {"artifact-store:bucket": {"adopt": "no-such-bucket"}}
    with (
        deploy.engine(PROJECT, "dev", aws, config) as stack,
        pytest.raises(CommandError, match="'no-such-bucket' does not exist"),
    ):
        stack.preview()
