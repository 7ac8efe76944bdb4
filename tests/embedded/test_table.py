"""The table of resource types against the SDK whose types it plays, and the rules common to all types."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from collections.abc import Iterator

import pytest

from artifact_store.embedded import table
from artifact_store.embedded.table import Aws, Name, Shape, Unsupported, same
from artifact_store.errors import Refused

KINDS = table.kinds()


def arguments(token: str) -> tuple[set[str], set[str]]:
    """What the SDK's class takes: (every input, the required ones), by their names on the wire.

    The class is asked, not its *Args: for two types the SDK gives that name to a block.
    """
    made = getattr(
        importlib.import_module(f"pulumi_aws.{token.split(':')[1].split('/', maxsplit=1)[0]}"), token.rsplit(":", 1)[1]
    )
    init = made._internal_init
    known = set(inspect.signature(init).parameters) - {"__self__", "resource_name", "opts", "__props__"}
    required = set(re.findall(r"Missing required property '(\w+)'", inspect.getsource(init)))
    return {camel(name) for name in known}, {camel(name) for name in required}


def camel(name: str) -> str:
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


@pytest.mark.parametrize("token", sorted(KINDS))
def test_every_type_takes_only_inputs_that_the_sdk_has_and_wants_all_that_the_sdk_wants(token: str) -> None:
    kind, (known, required) = KINDS[token], arguments(token)
    assert kind.inputs <= known
    assert required <= kind.required <= kind.inputs
    assert kind.replaces <= kind.inputs
    assert kind.regional == ("region" in known)
    assert set(kind.shapes) <= kind.inputs


def unknown_to_the_sdk(token: str, shape: Shape, annotation: str, path: str) -> Iterator[str]:
    """Paths of a block's fields that the SDK's class for the block does not have, or has as plain values."""
    found = re.search(r"\b(\w+Args)\b", annotation)
    if found is None:
        yield path
        return
    module = importlib.import_module(f"pulumi_aws.{token.split(':')[1].split('/', maxsplit=1)[0]}")
    parameters = inspect.signature(getattr(module, found[1]).__init__).parameters
    known = {camel(name): str(parameter.annotation) for name, parameter in parameters.items()}
    for name, below in shape.items():
        if name not in known:
            yield f"{path}.{name}"
        elif below is not None:
            yield from unknown_to_the_sdk(token, below, known[name], f"{path}.{name}")


@pytest.mark.parametrize("token", sorted(token for token, kind in KINDS.items() if kind.shapes))
def test_every_field_of_a_block_is_one_that_the_sdk_has(token: str) -> None:
    made = getattr(
        importlib.import_module(f"pulumi_aws.{token.split(':')[1].split('/', maxsplit=1)[0]}"), token.rsplit(":", 1)[1]
    )
    blocks = {camel(n): str(p.annotation) for n, p in inspect.signature(made._internal_init).parameters.items()}
    for name, shape in KINDS[token].shapes.items():
        assert list(unknown_to_the_sdk(token, shape, blocks[name], name)) == []
        assert list(unknown_to_the_sdk(token, {**shape, "strange": None}, blocks[name], name)) == [f"{name}.strange"]


@pytest.mark.parametrize("token", sorted(KINDS))
def test_another_region_replaces_wherever_there_is_a_region(token: str) -> None:
    assert KINDS[token].replacing(["region"]) == ["region"]


def test_a_type_outside_the_table_is_refused_by_name() -> None:
    with pytest.raises(Unsupported, match="does not know the resource type aws:ec2/vpc:Vpc"):
        table.find("aws:ec2/vpc:Vpc")


def test_a_function_outside_the_table_is_refused_by_name() -> None:
    aws = Aws("http://127.0.0.1:1", "us-east-1")
    with pytest.raises(Unsupported, match="does not know the function aws:ec2/getVpc:getVpc"):
        table.invoke(aws, "aws:ec2/getVpc:getVpc")


@pytest.mark.parametrize(
    "endpoint", ["", "https://s3.amazonaws.com", "http://192.0.2.1:80", "http://127.0.0.1@192.0.2.1", "127.0.0.1:80"]
)
def test_an_endpoint_that_is_not_on_this_machine_is_refused(endpoint: str) -> None:
    with pytest.raises(Refused, match="only on this machine"):
        Aws(endpoint, "us-east-1")


def test_unknown_inputs_unknown_fields_of_blocks_and_missing_inputs_are_each_named() -> None:
    kind = KINDS["aws:backup/plan:Plan"]
    rules = [
        {"ruleName": "a", "lifecyle": {}, "lifecycle": {"deleteAfter": 3}},
        {"copyActions": [{"lifecycle": {"x": 1}}]},
    ]
    assert [path for path, _ in kind.problems({"rules": rules, "tags": {}})] == [
        "tags",
        "rules[0].lifecyle",
        "rules[1].copyActions[0].lifecycle.x",
    ]
    assert kind.problems({"name": "p"}) == [("rules", "missing required argument rules")]


def test_iam_has_no_region() -> None:
    props = {"assumeRolePolicy": "{}", "region": "us-west-2"}
    assert [path for path, _ in KINDS["aws:iam/role:Role"].problems(props)] == ["region"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, False),
        (None, []),
        (None, {"a": None, "b": ""}),
        (["b", "a"], ["a", "b"]),
        (35.0, 35),
        ('{"a": 1, "b": [2]}', '{"b":[2],"a":1}'),
        ('{"Action": ["x", "y"]}', '{"Action": ["y", "x"]}'),
    ],
)
def test_values_that_mean_the_same_to_aws_are_no_change(one: object, other: object) -> None:
    assert same(one, other)
    assert same(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (None, 0),
        (None, True),
        (35, 36),
        ("35", 35),
        ([{"a": 1}, {"a": 2}], [{"a": 2}, {"a": 1}]),
        ('{"Effect": "Allow"}', '{"Effect": "Deny"}'),
        ('{"a": 1}', '{"a": 1'),
        (["a"], ["a", "a"]),
    ],
)
def test_values_that_mean_something_else_are_a_change(one: object, other: object) -> None:
    assert not same(one, other)


def test_a_made_up_name_fits_is_stable_and_differs_by_seed() -> None:
    name = Name("bucket", 20, lower=True)
    assert name.of("My-very-long-logical-name", b"1") == name.of("My-very-long-logical-name", b"1")
    assert len(name.of("My-very-long-logical-name", b"1")) == 20
    assert re.fullmatch(r"models-[0-9a-f]{7}", name.of("Models", b"1"))
    assert name.of("models", b"1") != name.of("models", b"2")


def test_what_is_read_keeps_the_words_of_the_program_where_they_mean_the_same() -> None:
    text = '{"b": 1, "a": 2}'
    kind = KINDS["aws:s3/bucketPolicy:BucketPolicy"]
    told = table.Kind(
        **{**vars(kind), "look": lambda aws, name, props: {"bucket": name, "policy": json.dumps({"a": 2, "b": 1})}}
    )
    aws = Aws("http://127.0.0.1:1", "us-east-1")
    assert told.read(aws, "b", {"bucket": "b", "policy": text}) == {"bucket": "b", "policy": text}
    assert told.read(aws, "b", {"bucket": "b", "policy": "{}"}) == {"bucket": "b", "policy": '{"a": 2, "b": 1}'}
