"""A small classifier and its files: what the demo trains, stores as a sharded model and loads again.

Owns the model's layout (that of Hugging Face transformers: shards, an index, a config) and reads it as those loaders
do: a `model.safetensors` beside an index wins. Knows nothing of S3.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load, save

Array = NDArray[np.float32]
Weights = dict[str, Array]
Files = dict[str, bytes]

CLASSES, INPUTS, HIDDEN, LAYERS, SHARDS = 10, 32, 64, 4, 4
SINGLE = "model.safetensors"
INDEX = "model.safetensors.index.json"
CONFIG = "config.json"


def shard(number: int) -> str:
    """The name of a shard, counted from 1."""
    return f"model-{number:05d}-of-{SHARDS:05d}.safetensors"


def samples(count: int, seed: int) -> tuple[Array, NDArray[np.int64]]:
    """Inputs (count, INPUTS) around one point a class, and their classes (count,). The points never change."""
    points = np.random.default_rng(0).normal(size=(CLASSES, INPUTS))
    draw = np.random.default_rng(seed)
    classes = draw.integers(CLASSES, size=count)
    return (points[classes] + draw.normal(scale=1.5, size=(count, INPUTS))).astype(np.float32), classes


def train(seed: int, *, mislabelled: bool = False, steps: int = 80) -> Weights:
    """Gradient descent on 1,000 samples. mislabelled: on labels shifted by one, as a broken data loader gives them."""
    inputs, classes = samples(1000, seed)
    wanted = np.eye(CLASSES, dtype=np.float32)[(classes + mislabelled) % CLASSES]
    draw = np.random.default_rng(seed)
    widths = [INPUTS, *[HIDDEN] * (LAYERS - 1), CLASSES]
    weights: Weights = {}
    for layer, (rows, columns) in enumerate(pairwise(widths)):
        scale = (2 / rows) ** 0.5
        weights[f"layers.{layer}.weight"] = draw.normal(scale=scale, size=(rows, columns)).astype(np.float32)
        weights[f"layers.{layer}.bias"] = np.zeros(columns, np.float32)
    for _ in range(steps):
        *hidden, scores = activations(weights, inputs)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        error = (odds / odds.sum(axis=1, keepdims=True) - wanted) / len(inputs)
        for layer in reversed(range(LAYERS)):
            gradient, bias = hidden[layer].T @ error, error.sum(axis=0)
            error = (error @ weights[f"layers.{layer}.weight"].T) * (hidden[layer] > 0)
            weights[f"layers.{layer}.weight"] -= 0.5 * gradient
            weights[f"layers.{layer}.bias"] -= 0.5 * bias
    return weights


def activations(weights: Mapping[str, Array], inputs: Array) -> list[Array]:
    """What goes into each layer, and what comes out of the last."""
    through = [inputs]
    for layer in range(LAYERS):
        out = through[-1] @ weights[f"layers.{layer}.weight"] + weights[f"layers.{layer}.bias"]
        through.append(out if layer == LAYERS - 1 else np.maximum(out, 0))
    return through


def accuracy(weights: Mapping[str, Array]) -> float:
    """The share of 1,000 samples never trained on whose class is found, 0 to 1."""
    inputs, classes = samples(1000, seed=99)
    return float((activations(weights, inputs)[-1].argmax(axis=1) == classes).mean())


def stored(weights: Weights) -> Files:
    """The files of a model: a shard a layer, the index, the config."""
    files: Files = {}
    places: dict[str, str] = {}
    for number in range(1, SHARDS + 1):
        mine = {name: value for name, value in weights.items() if name.startswith(f"layers.{number - 1}.")}
        files[shard(number)] = save(mine, metadata={"format": "np"})
        places |= dict.fromkeys(mine, shard(number))
    total = sum(value.nbytes for value in weights.values())
    files[INDEX] = _json({"metadata": {"total_size": total}, "weight_map": places})
    files[CONFIG] = _json({"architectures": ["Classifier"], "hidden_size": HIDDEN, "num_hidden_layers": LAYERS})
    return files


def single(weights: Weights) -> bytes:
    """The same model in one file."""
    return save(weights, metadata={"format": "np"})


def loaded(files: Mapping[str, bytes]) -> Weights:
    """Weights as a loader finds them. KeyError names the file that is missing."""
    weights: Weights = {}
    for name in _parts(files):
        weights |= load(files[name])
    return weights


def _parts(files: Mapping[str, bytes]) -> Iterator[str]:
    if SINGLE in files:
        yield SINGLE
    else:
        yield from sorted(set(json.loads(files[INDEX])["weight_map"].values()))


def _json(value: object) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()
