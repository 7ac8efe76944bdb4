"""What changed inside a model is told from headers alone, wherever its tensors lie."""

from __future__ import annotations

import numpy as np
from safetensors.numpy import save

from artifact_store.formats.finding import Tensor
from artifact_store.history.headers import compare
from artifact_store.history.scope import parse_scope
from artifact_store.s3 import operations as op
from tests.restore.memory import MemoryS3

SCOPE = parse_scope("s3://bkt/m")
T = 1_000_000


def zeros(dtype: type, *shape: int) -> np.ndarray:
    return np.zeros(shape, dtype)


def test_tensors_that_came_went_or_changed_are_named_and_those_that_moved_are_not() -> None:
    s3 = MemoryS3()
    s3.put("m/model-00001-of-00002.safetensors", save({"a": zeros(np.float32, 2), "b": zeros(np.float32, 3)}), time=T)
    s3.put("m/model-00002-of-00002.safetensors", save({"c": zeros(np.float32, 4), "d": zeros(np.float32, 5)}), time=T)
    s3.put("m/config.json", b"{}", time=T)
    s3.clock = T + 100
    s3.delete("m/model-00001-of-00002.safetensors")
    s3.delete("m/model-00002-of-00002.safetensors")
    merged = {
        "a": zeros(np.float32, 2),
        "b": zeros(np.float16, 3),
        "c": zeros(np.float32, 2, 2),
        "e": zeros(np.int8, 1),
    }
    s3.put("m/model.safetensors", save(merged), time=T + 100)
    s3.put("m/config.json", b"[]", time=T + 100)
    s3.sent.clear()
    found = compare(s3, SCOPE, T, T + 100)
    assert dict(found.tensors.added) == {"e": Tensor("I8", (1,), 1)}
    assert dict(found.tensors.gone) == {"d": Tensor("F32", (5,), 20)}
    assert dict(found.tensors.reshaped) == {"c": (Tensor("F32", (4,), 16), Tensor("F32", (2, 2), 16))}
    assert dict(found.tensors.retyped) == {"b": (Tensor("F32", (3,), 12), Tensor("F16", (3,), 6))}
    assert found.files == {
        "config.json": "changed",
        "model-00001-of-00002.safetensors": "gone",
        "model-00002-of-00002.safetensors": "gone",
        "model.safetensors": "added",
    }
    assert sum(isinstance(sent, op.GetObject) for sent in s3.sent) == 3


def test_other_weights_of_the_same_shape_change_bytes_and_no_tensor() -> None:
    s3 = MemoryS3()
    s3.put("m/model.safetensors", save({"a": np.full(4, 1, np.float32)}), time=T)
    s3.put("m/model.safetensors", save({"a": np.full(4, 2, np.float32)}), time=T + 100)
    found = compare(s3, SCOPE, T, T + 100)
    assert not found.tensors
    assert found.files == {"model.safetensors": "changed"}
    assert not compare(s3, SCOPE, T + 100, T + 200)


def test_files_whose_tensors_cannot_be_read_are_named_with_the_reason() -> None:
    s3 = MemoryS3()
    s3.put("m/cut.safetensors", save({"a": zeros(np.float32, 4)})[:-1], time=T)
    s3.put("m/empty.safetensors", b"", time=T)
    s3.put("m/cold.safetensors", save({"a": zeros(np.float32, 4)}), time=T, storage_class="GLACIER")
    found = compare(s3, SCOPE, T, T + 1)
    assert sorted(found.unread) == ["cold.safetensors", "cut.safetensors", "empty.safetensors"]
    assert found.unread["cold.safetensors"] == "lies in GLACIER"
    assert found.unread["empty.safetensors"] == "is empty"
