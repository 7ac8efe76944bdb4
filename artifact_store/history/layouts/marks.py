"""Which layouts could live in a folder, told from the names in it alone.

Asked of every folder there is, so it is cheap and reads nothing; it may say yes too often, and never no where the
layout would find something. Loads no layout: most buckets hold few of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from artifact_store.history.sets import Folder

Mark = Callable[[Folder], bool]

_RUN = re.compile(r"(?:.*/)?[0-9a-f]{32}/")
_VERSION = re.compile(r"version-\d{1,9}")
_START = re.compile(r"[0-9a-f]{2}")


def _any_of(*names: str) -> Mark:
    return lambda folder: not folder.names.isdisjoint(names)


def _ending(*ends: str) -> Mark:
    return lambda folder: any(name.endswith(ends) for name in folder.names)


def _mlflow(folder: Folder) -> bool:
    return "MLmodel" in folder.names or run(folder) or registered_model(folder)


def run(folder: Folder) -> bool:
    """Whether it is the folder of a run, which is named after its id."""
    return "artifacts" in folder.folders and _RUN.fullmatch(folder.prefix) is not None


def registered_model(folder: Folder) -> bool:
    """Whether it is a model of a registry kept as files: versions, and aliases that point at them."""
    return "aliases" in folder.folders and any(_VERSION.fullmatch(name) for name in folder.folders)


def _diffusers(folder: Folder) -> bool:
    if not folder.names.isdisjoint(("model_index.json", "pytorch_lora_weights.safetensors")):
        return True
    return any(name.startswith(("diffusion_pytorch_model", "diffusion_flax_model")) for name in folder.names)


_STEMS = tuple(f"{stem}{sign}" for stem in ("model", "pytorch_model", "tf_model", "flax_model") for sign in ".-")


def _transformers(folder: Folder) -> bool:
    ends = (".json", ".safetensors", ".bin", ".h5", ".msgpack")
    return any(name.startswith(_STEMS) and name.endswith(ends) for name in folder.names)


def _lightning(folder: Folder) -> bool:
    return any(name == "meta.pt" or name.endswith((".ckpt", ".metadata", ".distcp")) for name in folder.names)


def _deepspeed(folder: Folder) -> bool:
    return any(name in {"latest", "latest_universal"} or name.endswith("_states.pt") for name in folder.names)


def _megatron(folder: Folder) -> bool:
    if not folder.names.isdisjoint(("latest_checkpointed_iteration.txt", "metadata.json", "common.pt")):
        return True
    return any(name.startswith("mp_rank_") for name in folder.folders)


def _orbax(folder: Folder) -> bool:
    if not folder.names.isdisjoint(("orbax.checkpoint", "_CHECKPOINT_METADATA", "_METADATA")):
        return True
    return "manifest.ocdbt" in folder.names and any(name.startswith("ocdbt.process_") for name in folder.folders)


def _tensorflow(folder: Folder) -> bool:
    return "variables" in folder.folders or any(
        name.endswith(".index") or ".data-" in name or name in {"checkpoint", "saved_model.pb", "saved_model.pbtxt"}
        for name in folder.names
    )


def _dvc(folder: Folder) -> bool:
    # Folders called d0, d1, … are common; objects spread evenly over all 256 starts.
    starts = sum(1 for name in folder.folders if len(name) == 2 and _START.fullmatch(name))
    return starts > 0 and 2 * starts >= len(folder.folders)


MARKS: Mapping[str, Mark] = {
    "mlflow": _mlflow,
    "triton": _any_of("config.pbtxt"),
    "diffusers": _diffusers,
    "transformers": _transformers,
    "peft": _any_of("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin"),
    "gguf": _ending(".gguf"),
    "onnx": _ending(".onnx"),
    "keras": _ending(".keras", ".h5", ".hdf5", ".weights.json"),
    "sagemaker": _any_of("model.tar.gz"),
    "dcp": _ending(".metadata", ".distcp"),
    "lightning": _lightning,
    "deepspeed": _deepspeed,
    "megatron": _megatron,
    "orbax": _orbax,
    "tensorflow": _tensorflow,
    "dvc": _dvc,
}
"""By the name of the layout, which is that of its module, in the order in which they are tried."""
