"""Where S3 is and who asks is found as the aws command line finds it, and what is wrong there is told with a remedy."""

import os

import pytest

from artifact_store.errors import UsageError
from artifact_store.s3.settings import Settings

KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}


@pytest.fixture
def settings(monkeypatch):
    """Settings made in an environment that holds nothing else of AWS."""

    def settings(region=None, profile=None, **env):
        for name in list(os.environ):
            if name.startswith("AWS_"):
                monkeypatch.delenv(name)
        nothing = {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}
        for name, value in {**nothing, "AWS_EC2_METADATA_DISABLED": "true", **env}.items():
            monkeypatch.setenv(name, value)
        return Settings(profile, region, None)

    return settings


def test_the_region_is_the_option_then_aws_region_then_aws_default_region(settings):
    both = {**KEYS, "AWS_REGION": "eu-west-1", "AWS_DEFAULT_REGION": "us-west-2"}
    assert settings("eu-north-1", **both).region == "eu-north-1"
    assert settings(**both).region == "eu-west-1"
    assert settings(**both).place("models").host == "models.s3.eu-west-1.amazonaws.com"
    assert settings(**KEYS, AWS_DEFAULT_REGION="us-west-2").region == "us-west-2"


@pytest.mark.parametrize(
    ("env", "message"),
    [
        (KEYS, "no Region: add --region, set AWS_REGION, or write region into the aws configuration"),
        (
            {"AWS_ACCESS_KEY_ID": "a", "AWS_REGION": "eu-west-1"},
            "aws configuration: Partial credentials found in env, missing: AWS_SECRET_ACCESS_KEY; set both "
            "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or neither",
        ),
        (
            {**KEYS, "AWS_REGION": "eu-west-1", "AWS_ENDPOINT_URL": "127.0.0.1:9000"},
            "aws configuration: Invalid endpoint: 127.0.0.1:9000; set AWS_ENDPOINT_URL or endpoint_url to a URL, as in "
            "http://127.0.0.1:9000",
        ),
        (
            {**KEYS, "AWS_REGION": "eu west"},
            "aws configuration: Provided region_name 'eu west' doesn't match a supported format.; name a Region with "
            "--region, as in eu-central-1",
        ),
        (
            {**KEYS, "AWS_REGION": "eu-west-1", "AWS_PROFILE": "nobody"},
            "aws configuration: The config profile (nobody) could not be found; look at ~/.aws/config, or choose another "
            "with --profile",
        ),
    ],
)
def test_what_is_wrong_in_the_environment_is_told_in_one_line_with_what_to_do(settings, env, message):
    with pytest.raises(UsageError) as caught:
        settings(**env)
    assert str(caught.value) == message


def test_a_name_that_is_no_buckets_and_a_bundle_that_is_no_file_are_told_with_what_to_do(settings):
    found = settings(**KEYS, AWS_REGION="eu-west-1", AWS_CA_BUNDLE="/nowhere")
    with pytest.raises(UsageError, match="'a b' is no bucket name; look at its spelling"):
        found.place("a b")
    with pytest.raises(UsageError, match="names /nowhere, which is no file; name a file of certificates, or unset it"):
        found.ca_bundle()
