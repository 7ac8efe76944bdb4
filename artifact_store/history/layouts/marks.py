"""Which layouts could live in a folder, told from the names in it alone.

Asked of every folder there is, so it is cheap and reads nothing; it may say yes too often, and never no where the
layout would find something. Loads no layout: most buckets hold few of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from artifact_store.history.sets import Folder

_RUN = re.compile(r"(?:.*/)?[0-9a-f]{32}/")
_VERSION = re.compile(r"version-\d{1,9}")
_START = re.compile(r"[0-9a-f]{2}")


@dataclass(frozen=True, slots=True)
class Mark:
    """Yes to a folder with one of these files directly in it, or one that begins and ends so, or has that inside, or to
    one that looks like it otherwise. looks: asks for no other files than those in `hints`."""

    names: tuple[str, ...] = ()
    starts: tuple[str, ...] = ("",)
    ends: tuple[str, ...] = ()
    inside: str = ""
    looks: Callable[[Folder], bool] | None = None
    hints: tuple[str, ...] = ()

    def __call__(self, folder: Folder) -> bool:
        return any(map(self.shown_by, folder.names)) or (self.looks is not None and self.looks(folder))

    def shown_by(self, name: str) -> bool:
        """Whether this file shows it."""
        return (
            name in self.names
            or (name.endswith(self.ends) and name.startswith(self.starts))
            or (bool(self.inside) and self.inside in name)
        )


def run(folder: Folder) -> bool:
    """Whether it is the folder of a run, which is named after its id."""
    return "artifacts" in folder.folders and _RUN.fullmatch(folder.prefix) is not None


def registered_model(folder: Folder) -> bool:
    """Whether it is a model of a registry kept as files: versions, and aliases that point at them."""
    return "aliases" in folder.folders and any(_VERSION.fullmatch(name) for name in folder.folders)


def _orbax(folder: Folder) -> bool:
    return "manifest.ocdbt" in folder.names and any(name.startswith("ocdbt.process_") for name in folder.folders)


def _dvc(folder: Folder) -> bool:
    # Folders called d0, d1, … are common; objects spread evenly over all 256 starts.
    starts = sum(1 for name in folder.folders if len(name) == 2 and _START.fullmatch(name))
    return starts > 0 and 2 * starts >= len(folder.folders)


MARKS: Mapping[str, Mark] = {
    "mlflow": Mark(names=("MLmodel",), looks=lambda folder: run(folder) or registered_model(folder)),
    "triton": Mark(names=("config.pbtxt",)),
    "diffusers": Mark(
        names=("model_index.json", "pytorch_lora_weights.safetensors"),
        starts=("diffusion_pytorch_model", "diffusion_flax_model"),
        ends=("",),
    ),
    "transformers": Mark(
        starts=tuple(f"{stem}{sign}" for stem in ("model", "pytorch_model", "tf_model", "flax_model") for sign in ".-"),
        ends=(".json", ".safetensors", ".bin", ".h5", ".msgpack"),
    ),
    "peft": Mark(names=("adapter_config.json", "adapter_model.safetensors", "adapter_model.bin")),
    "gguf": Mark(ends=(".gguf",)),
    "onnx": Mark(ends=(".onnx",)),
    "keras": Mark(ends=(".keras", ".h5", ".hdf5", ".weights.json")),
    "sagemaker": Mark(names=("model.tar.gz",)),
    "dcp": Mark(ends=(".metadata", ".distcp")),
    "lightning": Mark(names=("meta.pt",), ends=(".ckpt", ".metadata", ".distcp")),
    "deepspeed": Mark(names=("latest", "latest_universal"), ends=("_states.pt",)),
    "megatron": Mark(
        names=("latest_checkpointed_iteration.txt", "metadata.json", "common.pt"),
        looks=lambda folder: any(name.startswith("mp_rank_") for name in folder.folders),
    ),
    "orbax": Mark(
        names=("orbax.checkpoint", "_CHECKPOINT_METADATA", "_METADATA"), looks=_orbax, hints=("manifest.ocdbt",)
    ),
    "tensorflow": Mark(
        names=("checkpoint", "saved_model.pb", "saved_model.pbtxt"),
        ends=(".index",),
        inside=".data-",
        looks=lambda folder: "variables" in folder.folders,
    ),
    "dvc": Mark(looks=_dvc),
}
"""By the name of the layout, which is that of its module, in the order in which they are tried."""

_WHOLE_NAMES = frozenset(name for mark in MARKS.values() for name in (*mark.names, *mark.hints))
_ENDS = tuple(end for mark in MARKS.values() if mark.starts == ("",) for end in mark.ends)
_STARTS = tuple(start for mark in MARKS.values() if mark.starts != ("",) for start in mark.starts)
_INSIDE = MARKS["tensorflow"].inside


def may_tell(name: str) -> bool:
    """Whether a file's name can make a difference to any mark. Most names cannot, and need not be kept."""
    return name in _WHOLE_NAMES or name.endswith(_ENDS) or name.startswith(_STARTS) or _INSIDE in name
