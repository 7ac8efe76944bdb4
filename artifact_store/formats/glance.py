"""A cheaper check, for the small files beside weights: vocabularies have megabytes, and parsing one takes a second."""

from __future__ import annotations

from artifact_store.formats.checks import check
from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.source import Fault, Source
from artifact_store.formats.text import JSON, check_ends

PARSED = 1024**2
"""Bytes of the largest JSON file that is parsed; of a larger one both ends are looked at."""


def glance(path: str, size: int) -> Check:
    """As `check`. Never raises for what the bytes are."""
    if size <= PARSED or not path.endswith(".json"):
        return (yield from check(path, size))
    try:
        return (yield from check_ends(Source(size)))
    except Fault as fault:
        return Finding(JSON, str(fault))
