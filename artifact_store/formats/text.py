"""JSON and YAML: parsed whole where they are of the size of a config, else looked at from both ends.

YAML is read as events and nothing is built of them: aliases can unfold to any size, and numbers take any time.
"""

from __future__ import annotations

import json

from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.source import HEAD, Fault, Reading, Source

JSON = "json"
YAML = "yaml"

MAX_JSON = 16 * 1024**2
"""Bytes of a JSON file that is parsed: vocabularies of tokenizers have 2 to 12 MB."""

MAX_VALUES = 2_000_000
"""JSON values that are parsed: 1.5 s and 270 MB at the worst (measured); the largest tokenizers have 1,000,000."""

MAX_YAML = 256 * 1024
"""Bytes of a YAML file that is parsed: an MLmodel with the signature of a wide table has some tens of KB."""

MAX_DEPTH = 100
"""Collections in collections of YAML. Its parser's time grows with the square of the depth."""

_MARKS = (b",", b"[", b"{")
_PAIRS = {b"{": b"}", b"[": b"]"}
_WHITE = b" \t\r\n"


def check_json(source: Source) -> Check:
    """NaN and Infinity pass, as Python writes them into training logs."""
    if source.size > MAX_JSON:
        return (yield from check_ends(source))
    data = yield from source.read(0, source.size)
    if sum(data.count(mark) for mark in _MARKS) > MAX_VALUES:
        return (yield from check_ends(source))
    try:
        json.loads(data.decode())
    except RecursionError:
        raise Fault("is JSON that is nested too deep to be a config") from None
    except UnicodeDecodeError as error:
        raise Fault(f"is no JSON: byte {error.start:,} is no UTF-8 text; it was cut or overwritten") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno:,} column {error.colno:,}"
        raise Fault(f"is no JSON: {error.msg} at {where} of {len(data):,} bytes; it was cut or overwritten") from None
    except ValueError:
        # a whole number of more digits than Python converts
        return Finding(JSON, proved=False)
    return Finding(JSON)


def check_ends(source: Source) -> Check:
    """A cut file does not end with the bracket it began with."""
    head = (yield from source.read(0, min(HEAD, source.size))).lstrip(_WHITE)[:1]
    count = min(4096, source.size)
    tail = (yield from source.read(source.size - count, count)).rstrip(_WHITE)[-1:]
    if head and head not in _PAIRS:
        raise Fault(f"is no JSON: it starts with {head!r}; it was overwritten")
    if head and tail and tail != _PAIRS[head]:
        raise Fault(f"is no JSON: it starts with {head!r} and ends with {tail!r} at {source.size:,} bytes; it was cut")
    return Finding(JSON, proved=False)


def check_yaml(source: Source) -> Check:
    if source.size > MAX_YAML:
        return Finding(YAML, proved=False)
    _top_maps((yield from _text(source)))
    return Finding(YAML)


def check_mlmodel(source: Source) -> Check:
    """MLflow's MLmodel: YAML with the map `flavors`."""
    if source.size > MAX_YAML:
        return Finding(YAML, proved=False)
    if "flavors" not in _top_maps((yield from _text(source))):
        raise Fault("has no map `flavors`, which every MLmodel has: it was cut or overwritten")
    return Finding(YAML)


def _text(source: Source) -> Reading[str]:
    data = yield from source.read(0, source.size)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Fault(f"is no YAML: byte {error.start:,} is no UTF-8 text; it was cut or overwritten") from None


def _top_maps(text: str) -> set[str]:
    """The keys of the outermost map that hold maps. Raises Fault where it does not parse or is nested too deep."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    depth, key = 0, None
    anchors: set[str] = set()
    maps: set[str] = set()
    try:
        for event in yaml.parse(text, Loader=loader):
            if isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            if not isinstance(event, yaml.NodeEvent):
                continue
            anchor = str(event.anchor or "")
            if isinstance(event, yaml.AliasEvent) and anchor not in anchors:
                raise Fault(f"is no YAML: it uses *{anchor[:40]} and has no &{anchor[:40]} before it")
            anchors.add(anchor)
            if depth == 1 and key is None:
                key = str(getattr(event, "value", ""))
            elif depth == 1:
                maps |= {str(key)} if isinstance(event, yaml.MappingStartEvent) else set()
                key = None
            depth += isinstance(event, yaml.CollectionStartEvent)
            if depth > MAX_DEPTH:
                raise Fault(f"is YAML that is nested deeper than {MAX_DEPTH}: it is no config")
    except yaml.YAMLError as error:
        raise _no_yaml(error) from None
    return maps


def _no_yaml(error: Exception) -> Fault:
    mark = getattr(error, "problem_mark", None)
    where = f" at line {mark.line + 1:,}" if mark else ""
    what = str(getattr(error, "problem", None) or error).splitlines()[0]
    return Fault(f"is no YAML: {what}{where}; it was cut or overwritten")
