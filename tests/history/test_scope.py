"""PREFIX is a path; an address is read in one way or refused."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from artifact_store.errors import UsageError
from artifact_store.history.scope import Scope, check_destination, parse_scope, split_address

keys = st.text(alphabet="abm-/1*. ü", min_size=1, max_size=12)
buckets = st.text(alphabet=string.ascii_lowercase + string.digits + ".-", min_size=1, max_size=20).map(
    lambda middle: f"b{middle}0"
)


@given(buckets, keys)
def test_a_path_names_itself_and_what_lies_below_and_nothing_else(bucket, path):
    scope = parse_scope(f"s3://{bucket}/{path.rstrip('*')}x")
    assert scope.contains(f"{path.rstrip('*')}x")
    assert scope.contains(f"{path.rstrip('*')}x/anything")
    assert not scope.contains(f"{path.rstrip('*')}x0")
    assert not scope.contains(f"{path.rstrip('*')}")


@given(buckets, keys, keys)
def test_a_raw_prefix_is_any_start_of_a_key(bucket, start, rest):
    scope = parse_scope(f"s3://{bucket}/{start}*")
    assert scope.contains(start + rest)
    assert scope.contains(start)
    assert scope.contains(rest) == rest.startswith(start)


@given(buckets, keys)
def test_an_address_is_shown_as_it_is_read(bucket, prefix):
    scope = parse_scope(f"s3://{bucket}/{prefix}")
    assert str(scope) == f"s3://{bucket}/{prefix}"
    assert parse_scope(str(scope)) == scope


@given(buckets, keys, keys)
def test_a_key_in_scope_has_a_relative_name_that_gives_it_back(bucket, prefix, key):
    scope = parse_scope(f"s3://{bucket}/{prefix}")
    if not scope.contains(key):
        return
    relative = scope.relative(key)
    assert key.endswith(relative)
    if key != scope.prefix:
        assert scope.root + relative == key


@pytest.mark.parametrize(
    ("address", "scope"),
    [
        ("s3://bucket", Scope("bucket")),
        ("s3://bucket/", Scope("bucket")),
        ("s3://bucket/*", Scope("bucket", "", raw=True)),
        ("s3://bucket/models/m-1", Scope("bucket", "models/m-1")),
        ("s3://bucket/models/m-1/", Scope("bucket", "models/m-1/")),
        ("s3://bucket/models/m-1*", Scope("bucket", "models/m-1", raw=True)),
        ("s3://bucket//a//b", Scope("bucket", "/a//b")),
        ("s3://bucket/a b/%20+ü/..", Scope("bucket", "a b/%20+ü/..")),
    ],
)
def test_each_form_of_address_is_read(address, scope):
    assert parse_scope(address) == scope


@pytest.mark.parametrize(
    ("address", "inside", "outside"),
    [
        ("s3://b-b/models/m-1", ["models/m-1", "models/m-1/x"], ["models/m-10", "models/m-1.bak", "models", "m-1"]),
        ("s3://b-b/models/m-1/", ["models/m-1/", "models/m-1/x"], ["models/m-1", "models/m-10/x"]),
        ("s3://b-b/models/m-1*", ["models/m-1", "models/m-10/x", "models/m-1.bak"], ["models/m-2"]),
        ("s3://b-b", ["models/m-1", "/", ""], []),
    ],
)
def test_a_neighbour_is_never_in_scope(address, inside, outside):
    scope = parse_scope(address)
    assert [key for key in inside if not scope.contains(key)] == []
    assert [key for key in outside if scope.contains(key)] == []


@pytest.mark.parametrize(
    ("address", "key", "relative"),
    [
        ("s3://b-b/models/m-1", "models/m-1/a/b", "a/b"),
        ("s3://b-b/models/m-1/", "models/m-1/a/b", "a/b"),
        ("s3://b-b/models/m-1*", "models/m-10/a", "m-10/a"),
        ("s3://b-b/models/m-1/config.json", "models/m-1/config.json", "config.json"),
        ("s3://b-b", "models/m-1/a", "models/m-1/a"),
    ],
)
def test_a_relative_name_is_the_one_that_aws_s3_sync_would_give(address, key, relative):
    assert parse_scope(address).relative(key) == relative


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("bucket/models", "'bucket/models' does not start with s3://; did you mean s3://bucket/models?"),
        ("/bucket", "'/bucket' does not start with s3://; did you mean s3://bucket?"),
        ("", "'' does not start with s3://; did you mean s3://BUCKET?"),
        ("S3://bucket", "'S3://bucket' does not start with s3://; did you mean s3://bucket?"),
        ("s3:/bucket", "'s3:/bucket' does not start with s3://; did you mean s3://bucket?"),
        ("s3://", "'s3://' names no bucket; write s3://BUCKET or s3://BUCKET/PREFIX"),
        ("s3:///models", "'s3:///models' names no bucket; write s3://BUCKET or s3://BUCKET/PREFIX"),
        ("s3://my bucket/x", "'my bucket' is no bucket name; write s3://BUCKET or s3://BUCKET/PREFIX"),
        ("s3://b*", "'b*' is no bucket name; write s3://BUCKET or s3://BUCKET/PREFIX"),
        (
            "https://bucket.s3.amazonaws.com/x",
            "'https://bucket.s3.amazonaws.com/x' is no s3:// address (it starts with https://); "
            "write s3://BUCKET or s3://BUCKET/PREFIX",
        ),
        (
            "arn:aws:s3:::bucket/x",
            "'arn:aws:s3:::bucket/x' is no s3:// address (it starts with arn:aws:s3:::); "
            "write s3://BUCKET or s3://BUCKET/PREFIX",
        ),
    ],
)
def test_a_bad_address_is_refused_with_what_to_write(address, message):
    with pytest.raises(UsageError) as caught:
        parse_scope(address)
    assert str(caught.value) == message


def test_the_key_of_a_single_file_is_taken_as_it_stands():
    assert split_address("s3://bucket/a*") == ("bucket", "a*")
    assert split_address("s3://bucket/a/") == ("bucket", "a/")
    assert split_address("s3://bucket") == ("bucket", "")


def test_an_address_with_bytes_that_are_no_utf_8_is_refused():
    with pytest.raises(UsageError, match=r"'s3://bucket/a\\udcff' holds bytes that are no UTF-8"):
        split_address("s3://bucket/a\udcff")


@pytest.mark.parametrize("text", ["", "out", "./s3", "/tmp/x", "a:b", "s3", "c/s3://x", "s3://bucket/prefix"])
def test_a_folder_and_an_address_are_destinations(text):
    check_destination(text)


@pytest.mark.parametrize(
    "text", ["S3://bucket", "s3:bucket", "s3:/bucket", "gs://bucket", "arn:aws:s3:::bucket", "s3://"]
)
def test_what_is_meant_as_an_address_is_no_folder(text):
    with pytest.raises(UsageError, match="s3://"):
        check_destination(text)
