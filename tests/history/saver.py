"""A trainer that saves one sharded model, for tests that say file by file what it does; `trainer` plays all kinds."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

import numpy as np
from safetensors.numpy import save as safetensors

from artifact_store.history import models
from artifact_store.history.layouts import transformers
from artifact_store.history.listing import list_histories
from artifact_store.history.models import Candidate, Finder, Verdict
from artifact_store.history.scope import parse_scope
from tests.restore.memory import MemoryS3

LAYOUTS = (transformers.LAYOUT,)
T0 = 1_000_000
PREFIX = "models/m/"
"""Where it saves, unless told otherwise."""
INDEX = "model.safetensors.index.json"


def name(number: int, count: int) -> str:
    return f"model-{number + 1:05}-of-{count:05}.safetensors"


def shard(number: int, step: int) -> bytes:
    return safetensors({f"t{number}": np.full(64, step, np.float32)})


def index(count: int, step: int = 0) -> bytes:
    """step: makes the index of each save another."""
    weights = {f"t{number}": name(number, count) for number in range(count)}
    return json.dumps({"metadata": {"total_size": 256 * count, "step": step}, "weight_map": weights}).encode()


@dataclass
class Model:
    """Writes a sharded model into a model of S3."""

    count: int
    s3: MemoryS3 = field(default_factory=MemoryS3)
    prefix: str = PREFIX

    def write(self, path: str, data: bytes, began: float, ended: float, *, whole: bool = False) -> None:
        self.s3.clock = ended
        if whole:
            self.s3.put(self.prefix + path, data, time=ended)
        else:
            self.s3.put_parts(self.prefix + path, [data[:100], data[100:]], began=int(began))

    def save(self, step: int, began: float, *, only: int | None = None, seconds: float = 2) -> float:
        """Shards one after the other, then the index; `only` so many shards and no index. Returns when it ended."""
        now = began
        for number in range(self.count if only is None else only):
            self.write(name(number, self.count), shard(number, step), now, now + seconds)
            now += seconds
        if only is None:
            self.write(INDEX, index(self.count, step), now, now + 1, whole=True)
            now += 1
        return now

    def candidate(self) -> Candidate:
        finder = Finder(parse_scope("s3://bkt"), LAYOUTS)
        found: list[Candidate] = []
        for history in list_histories(self.s3, "bkt"):
            found += finder.see(history, written=True)
        found += finder.end()
        (one,) = found
        return one

    def verdict(self, instant: float) -> Verdict:
        (found,) = self.s3.run([models.assess("bkt", self.candidate(), instant)])
        (verdict,) = found
        return verdict
