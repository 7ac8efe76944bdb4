"""The resource types that the embedded AWS can make: one table, for the provider plug-in and the in-process monitor.

Owns the shape of an entry and the rules common to all: which inputs are known, which are required, what replaces, names
made up from the logical name, and when two values mean the same. A type or an input that is not here is an error.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from botocore.exceptions import ClientError

from artifact_store.errors import Refused

Props = dict[str, Any]
Shape = dict[str, "Shape | None"]
"""The known fields of a block or of each block in a list; None: a plain value."""
SIGNATURE = "4dabf18193072939515e22adb298388d"
"""Marks special values on the wire (pulumi/pulumi, sdk/python, runtime/rpc.py)."""
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


class Unsupported(Refused):
    """A resource type or input that the embedded AWS does not know."""


@dataclass(frozen=True)
class Aws:
    """boto3 clients for the embedded AWS. Refuses any endpoint that is not on this machine."""

    endpoint: str
    region: str

    def __post_init__(self) -> None:
        if urlsplit(self.endpoint).hostname not in LOOPBACK:
            raise Refused(f"the embedded AWS is only on this machine, but the endpoint is {self.endpoint or 'missing'}")

    def placed(self, props: Props) -> Props:
        """The properties with the Region they mean."""
        return {**props, "region": props.get("region") or self.region}

    def __call__(self, service: str, region: str | None = None) -> Any:
        return _client(self.endpoint, service, region or self.region)


def from_environment(region: str | None) -> Aws:
    return Aws(os.environ.get("AWS_ENDPOINT_URL", ""), region or os.environ.get("AWS_REGION", "us-east-1"))


_MAKING = threading.Lock()


def _client(endpoint: str, service: str, region: str) -> Any:
    # The engine asks for many resources at once, and a boto3 session is not safe to make clients from in threads.
    with _MAKING:
        return _new_client(endpoint, service, region)


@cache
def _new_client(endpoint: str, service: str, region: str) -> Any:
    import boto3

    # A session of its own: boto3's default one would keep these credentials for whoever else is in the process.
    make: Any = boto3.Session().client
    return make(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="testing",
        aws_secret_access_key="testing",
    )


@dataclass(frozen=True)
class Name:
    """How a physical name is made up where none is given: input, most characters, characters after the logical name."""

    field: str
    most: int
    lower: bool = False

    def of(self, logical: str, seed: bytes) -> str:
        suffix = f"-{hashlib.sha256(seed).hexdigest()[:7]}"
        name = logical[: self.most - len(suffix)] + suffix
        return name.lower() if self.lower else name


@dataclass(frozen=True)
class Kind:
    """One resource type.

    create(aws, props) -> id. look(aws, id, props) -> properties as AWS has them now (inputs it can tell, and outputs),
    or None where there is nothing. update(aws, id, props). delete(aws, id, props). props always has "region".
    regional: whether "region" is an input; another one always replaces.
    """

    token: str
    inputs: frozenset[str]
    required: frozenset[str]
    replaces: frozenset[str]
    create: Callable[[Aws, Props], str]
    look: Callable[[Aws, str, Props], Props | None]
    delete: Callable[[Aws, str, Props], None]
    update: Callable[[Aws, str, Props], None] | None = None
    computed: tuple[str, ...] = ()
    name: Name | None = None
    imports: Callable[[str], tuple[str, Props]] = field(default=lambda resource_id: (resource_id, {}))
    """Import id -> (the resource's own id, the inputs that the import id stands for)."""
    regional: bool = True
    shapes: Mapping[str, Shape] = field(default_factory=dict)
    """Of the inputs that are blocks."""

    def problems(self, props: Mapping[str, Any]) -> list[tuple[str, str]]:
        """(input, what is wrong with it)."""
        known = self.inputs | ({"region"} if self.regional else set())
        strange = [k for k in props if k not in known]
        strange += [path for k, shape in self.shapes.items() for path in _strange(props.get(k), shape, k)]
        unknown = [(path, f"the embedded AWS does not know {path} of {self.token}") for path in strange]
        return unknown + [(k, f"missing required argument {k}") for k in sorted(self.required) if props.get(k) is None]

    def changed(self, old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
        """The inputs whose meaning differs, in order."""
        return [k for k in sorted({*old, *new}) if not same(old.get(k), new.get(k))]

    def replacing(self, changed: Iterable[str]) -> list[str]:
        """Those of the changed inputs that AWS cannot change in place."""
        return [k for k in changed if k in self.replaces or k == "region"]

    def remove(self, aws: Aws, resource_id: str, props: Props) -> None:
        """Delete it; what somebody else deleted already is deleted."""
        if self.look(aws, resource_id, props) is not None:
            self.delete(aws, resource_id, props)

    def read(self, aws: Aws, resource_id: str, known: Props) -> Props | None:
        """What is there now, in the words of `known` where both mean the same."""
        found = self.look(aws, resource_id, aws.placed(known))
        if found is None:
            return None
        merged = {**known, **{k: v for k, v in found.items() if not same(known.get(k), v)}}
        return {k: v for k, v in merged.items() if v is not None}


def told(ask: Callable[[], Any], *gone: str) -> Any:
    """The answer, or None where AWS says that there is nothing (one of these error codes)."""
    try:
        return ask()
    except ClientError as error:
        if error.response["Error"]["Code"] in gone:
            return None
        raise


def number(value: Any) -> Any:
    """The engine knows only one kind of number; AWS wants whole ones whole."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


def unwrapped(value: Any) -> Any:
    """A value off the wire: secrets without their marking, whole numbers whole."""
    if isinstance(value, dict):
        return unwrapped(value["value"]) if SIGNATURE in value else {k: unwrapped(v) for k, v in value.items()}
    return [unwrapped(v) for v in value] if isinstance(value, list) else number(value)


def _strange(value: Any, shape: Shape, path: str) -> Iterator[str]:
    """Paths of fields that the shape does not have."""
    if isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _strange(inner, shape, f"{path}[{index}]")
    elif isinstance(value, dict):
        for name, inner in value.items():
            if name not in shape:
                yield f"{path}.{name}"
            elif (below := shape[name]) is not None:
                yield from _strange(inner, below, f"{path}.{name}")


def same(one: Any, other: Any) -> bool:
    """Whether two values mean the same to AWS: absent, null, false and empty alike, lists of words in any order,
    policies as JSON, numbers by value."""
    return bool(_meaning(one) == _meaning(other))


def _meaning(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: m for k, v in value.items() if (m := _meaning(v)) is not None} or None
    if isinstance(value, list):
        found = [_meaning(v) for v in value]
        return sorted(found, key=json.dumps) if all(isinstance(v, str) for v in found) and found else found or None
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return ("json", json.dumps(_meaning(json.loads(value)), sort_keys=True))
        except ValueError:
            return value
    return None if value is False or value == "" else number(value)


def kinds() -> dict[str, Kind]:
    """Every type by its Pulumi token."""
    from artifact_store.embedded import backup_kinds, bucket_kinds, other_kinds

    return {kind.token: kind for module in (bucket_kinds, backup_kinds, other_kinds) for kind in module.KINDS}


def find(token: str) -> Kind:
    found = kinds().get(token)
    if found is None:
        raise Unsupported(f"the embedded AWS does not know the resource type {token}")
    return found


def invoke(aws: Aws, token: str) -> Props:
    """The data sources that a program may ask."""
    if token == "aws:index/getCallerIdentity:getCallerIdentity":
        caller = aws("sts").get_caller_identity()
        return {
            "accountId": caller["Account"],
            "arn": caller["Arn"],
            "id": caller["Account"],
            "userId": caller["UserId"],
        }
    if token == "aws:index/getPartition:getPartition":
        return {
            "partition": "aws",
            "id": "aws",
            "dnsSuffix": "amazonaws.com",
            "reverseDnsPrefix": "com.amazonaws",
        }
    if token == "aws:index/getRegion:getRegion":
        return {"name": aws.region, "region": aws.region, "id": aws.region}
    raise Unsupported(f"the embedded AWS does not know the function {token}")
