"""Tiny models of every layout, with the bytes that the real libraries write where their wheels are at hand.

Owns what one save of each layout is: its files in the order in which the library writes them. Saves of one model have
the same names and sizes and differ in every byte of weights and in every index, unless names carry the step. What no
wheel here can write (torch, TensorFlow, JAX, DVC) has the structure that its loaders check and nothing more.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import pickle
import re
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import gguf
import h5py
import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save as save_safetensors

from artifact_store.formats.ocdbt import MAGIC, crc32c
from tests.formats.bundles import index as bundle_index
from tests.history.layouts.torch_names import dumped, metadata

Files = dict[str, bytes]
CONFIG = b'{"model_type": "tiny", "hidden_size": 16}'


def safetensors(name: str, step: int, size: int = 16) -> bytes:
    return save_safetensors({name: np.full(size, step, np.float32)}, {"format": "pt"})


def archive(step: int, **more: bytes) -> bytes:
    """A zip as torch.save and Keras write it: entries uncompressed."""
    stream = io.BytesIO()
    entries = {"archive/data.pkl": pickle.dumps({"step": step}, 2), "archive/data/0": bytes([step]) * 64} | more
    with zipfile.ZipFile(stream, "w") as out:
        for name, data in entries.items():
            out.writestr(zipfile.ZipInfo(name), data)
    return stream.getvalue()


def hdf5(step: int) -> bytes:
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["layers/dense/vars/0"] = np.full(16, step, np.float32)
    return stream.getvalue()


def tar_gz(step: int) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as out:
        info = tarfile.TarInfo("model.pth")
        data = archive(step)
        info.size = len(data)
        out.addfile(info, io.BytesIO(data))
    return gzip.compress(stream.getvalue(), 0, mtime=0)


def saved_json(step: int, **content: object) -> bytes:
    return json.dumps({"step": step, **content}).encode()


@cache
def _onnx(step: int, external: bool) -> Mapping[str, bytes]:
    weights = numpy_helper.from_array(np.full((4, 4), step, np.float32), "w")
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4, 4]) for name in "xy")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    made = helper.make_model(graph, doc_string=f"step {step}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save_model(made, path, save_as_external_data=external, location="model.onnx.data", size_threshold=0)
        return {file.name: file.read_bytes() for file in sorted(Path(folder).iterdir(), reverse=True)}


@cache
def _gguf(step: int, count: int, each: int = 1) -> Mapping[str, bytes]:
    """count: of pieces, with so many tensors each; 1 makes one file."""
    with tempfile.TemporaryDirectory() as folder:
        writer = gguf.GGUFWriter(Path(folder) / "m.gguf", "llama", split_max_tensors=each if count > 1 else 0)
        writer.add_uint32("training.step", step)
        for number in range(count * each):
            writer.add_tensor(f"blk.{number}.w", np.full(16, step, np.float32))
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def hf_sharded(step: int, count: int, stem: str = "model") -> Files:
    names = [f"{stem}-{number:05}-of-{count:05}.safetensors" for number in range(1, count + 1)]
    shards = {name: safetensors(f"w{number}", step) for number, name in enumerate(names)}
    weight_map = {f"w{number}": name for number, name in enumerate(names)}
    index = json.dumps({"metadata": {"total_size": 64 * count, "step": step}, "weight_map": weight_map}).encode()
    return shards | {f"{stem}.safetensors.index.json": index}


def transformers(step: int, count: int) -> Files:
    return {"config.json": CONFIG, **hf_sharded(step, count), "tokenizer.json": b'{"model": {}}'}


def transformers_single(step: int, _: int) -> Files:
    return {"config.json": CONFIG, "model.safetensors": safetensors("w", step)}


def transformers_bin(step: int, count: int) -> Files:
    names = [f"pytorch_model-{number:05}-of-{count:05}.bin" for number in range(1, count + 1)]
    index = saved_json(step, metadata={}, weight_map={f"w{number}": name for number, name in enumerate(names)})
    return {"config.json": CONFIG, **{name: archive(step) for name in names}, "pytorch_model.bin.index.json": index}


def peft(step: int, _: int) -> Files:
    config = saved_json(step, peft_type="LORA", base_model_name_or_path="org/base", r=8)
    return {"adapter_model.safetensors": safetensors("lora_A", step), "adapter_config.json": config}


def diffusers(step: int, count: int) -> Files:
    unet = hf_sharded(step, count, "diffusion_pytorch_model")
    components = {"unet": ["diffusers", "UNet2DConditionModel"], "scheduler": ["diffusers", "PNDMScheduler"]}
    return {
        "scheduler/scheduler_config.json": saved_json(step),
        "unet/config.json": saved_json(step),
        **{f"unet/{name}": data for name, data in unet.items()},
        "model_index.json": saved_json(step, _class_name="Pipeline", **components),
    }


def gguf_split(step: int, count: int) -> Files:
    return dict(_gguf(step, count))


def gguf_pairs(step: int, count: int) -> Files:
    """As many pieces, with two tensors in each."""
    return dict(_gguf(step, count, 2))


def gguf_single(step: int, _: int) -> Files:
    return dict(_gguf(step, 1))


def onnx_external(step: int, _: int) -> Files:
    return dict(_onnx(step, external=True))


def keras(step: int, _: int) -> Files:
    return {"model.keras": archive(step, **{"config.json": CONFIG, "model.weights.h5": hdf5(step)})}


def keras_sharded(step: int, count: int) -> Files:
    names = [f"model_{number:05}.weights.h5" for number in range(count)]
    weight_map = {f"/layers/dense_{number}/vars": name for number, name in enumerate(names)}
    index = saved_json(step, metadata={"total_size": 64 * count}, weight_map=weight_map)
    return {name: hdf5(step) for name in names} | {"model.weights.json": index, "config.json": CONFIG}


def sagemaker(step: int, _: int) -> Files:
    return {"model.tar.gz": tar_gz(step)}


def dcp(step: int, count: int) -> Files:
    pieces = {f"__{rank}_0.distcp": archive(step) for rank in range(count)}
    places = [(f"layer{rank}.w", name, 0, len(data)) for rank, (name, data) in enumerate(pieces.items())]
    return pieces | {".metadata": dumped(metadata(places, step=step))}


def lightning(step: int, _: int) -> Files:
    return {"last.ckpt": archive(step)}


def lightning_sharded(step: int, count: int) -> Files:
    return {f"last.ckpt/{name}": data for name, data in (dcp(step, count) | {"meta.pt": archive(step)}).items()}


def deepspeed(step: int, count: int, tag: str = "global_step1") -> Files:
    ranks = {f"bf16_zero_pp_rank_{rank}_mp_rank_00_optim_states.pt": archive(step) for rank in range(count)}
    files = {"mp_rank_00_model_states.pt": archive(step), **ranks}
    return {
        "zero_to_fp32.py": b"pass\n",
        **{f"{tag}/{name}": data for name, data in files.items()},
        "latest": tag.encode(),
    }


def deepspeed_steps(step: int, count: int) -> Files:
    return deepspeed(step, count, f"global_step{step}00")


def megatron(step: int, count: int, iteration: int = 100) -> Files:
    kinds = ("model_optim_rng.pt", "distrib_optim.pt")
    ranks = {f"iter_{iteration:07}/mp_rank_{rank:02}/{kind}": archive(step) for rank in range(count) for kind in kinds}
    return ranks | {"latest_checkpointed_iteration.txt": str(iteration).encode()}


def megatron_steps(step: int, count: int) -> Files:
    return megatron(step, count, 100 * step)


def megatron_distributed(step: int, count: int) -> Files:
    closing = saved_json(step, sharded_backend="torch_dist", sharded_backend_version=1, common_backend="torch")
    files = {"common.pt": archive(step), **dcp(step, count), "metadata.json": closing}
    folder = f"iter_{100 * step:07}"
    tracker = {"latest_checkpointed_iteration.txt": str(100 * step).encode()}
    return {f"{folder}/{name}": data for name, data in files.items()} | tracker


def manifest(step: int) -> bytes:
    """Of an OCDBT database: header, a configuration and no versions, checksum."""
    body = b"\0\0" + bytes([step]) * 16 + b"\x64\x80\x80\x04\x04\0\0\0\0"
    data = MAGIC + (len(MAGIC) + 8 + len(body) + 4).to_bytes(8, "little") + body
    return data + crc32c(data).to_bytes(4, "little")


def orbax(step: int, count: int, folder: str = "") -> Files:
    said = saved_json(
        step,
        item_handlers={"state": "orbax.checkpoint.handlers.PyTreeCheckpointHandler"},
        init_timestamp_nsecs=step,
        commit_timestamp_nsecs=step,
    )
    processes: Files = {}
    for process in range(count):
        base = f"state/ocdbt.process_{process}"
        processes |= {f"{base}/d/0a{process}": bytes([step]) * 90, f"{base}/manifest.ocdbt": manifest(step)}
    files = {
        "state/_METADATA": saved_json(step, tree_metadata={}, use_ocdbt=True, use_zarr3=False),
        "state/_sharding": b"{}",
        **processes,
        "state/d/0b": bytes([step]) * 90,
        "state/manifest.ocdbt": manifest(step),
        "commit_success.txt": b"",
        "_CHECKPOINT_METADATA": said,
    }
    return {f"{folder}{path}": data for path, data in files.items()}


def orbax_steps(step: int, count: int) -> Files:
    return orbax(step, count, f"{step}00/")


def _bundle(step: int, count: int, stem: str) -> Files:
    data = {f"{stem}.data-{number:05}-of-{count:05}": bytes([step]) * 64 for number in range(count)}
    tensors = [(f"w{number}{step}", number, 0, 64) for number in range(count)]
    return data | {f"{stem}.index": bundle_index(tensors, count)}


def saved_model(step: int, count: int) -> Files:
    return {
        "assets/vocab.txt": b"a\nb%d\n" % step,
        "assets/none.txt": b"",
        **_bundle(step, count, "variables/variables"),
        "saved_model.pb": b"\x08\x01\x12\x02\x08%c" % step,
        "fingerprint.pb": b"\x28\x07",
    }


def tf_checkpoint(step: int, count: int) -> Files:
    pointer = f'model_checkpoint_path: "ckpt-{step}"\nall_model_checkpoint_paths: "ckpt-{step}"\n'.encode()
    return _bundle(step, count, f"ckpt-{step}") | {"checkpoint": pointer}


def mlflow(step: int, _: int) -> Files:
    described = f"""\
artifact_path: model
flavors:
  python_function:
    code: code
    data: data/model.keras
    env: {{conda: conda.yaml}}
    loader_module: mlflow.keras
run_id: {step:032}
"""
    return {
        "code/pkg/__init__.py": b"",
        "conda.yaml": b"name: env\n",
        "data/model.keras": archive(step),
        "MLmodel": described.encode(),
    }


def mlflow_transformers(step: int, count: int) -> Files:
    described = f"""\
artifact_path: model
flavors:
  transformers:
    model_binary: model
    task: text-generation
run_id: {step:032}
"""
    inner = {f"model/{name}": data for name, data in transformers(step, count).items()}
    return inner | {"MLmodel": described.encode()}


def triton(step: int, _: int) -> Files:
    config = f'# step {step}\nname: "m"\nbackend: "onnxruntime"\nmax_batch_size: 8\n'.encode()
    return {f"1/{name}": data for name, data in _onnx(step, external=True).items()} | {"config.pbtxt": config}


def triton_versions(step: int, _: int) -> Files:
    config = f'# step {step}\nname: "m"\nbackend: "python"\n'.encode()
    return {f"{step}/model.py": b"STEP = %d\n" % step, f"{step}/__init__.py": b"", "config.pbtxt": config}


def dvc(step: int, count: int) -> Files:
    """Objects are named after their content, so that each save writes other names; one of them is empty."""
    content = {f"part{number}.bin": b"%d/%d" % (step, number) * 9 for number in range(count)} | {"empty.txt": b""}
    tree = [{"md5": _md5(data), "relpath": path} for path, data in sorted(content.items())]
    listing = json.dumps(tree, sort_keys=True).encode()
    objects = {_hashed(data): data for data in content.values()}
    return {f"files/md5/{path}": data for path, data in (objects | {f"{_hashed(listing)}.dir": listing}).items()}


def _md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


def _hashed(data: bytes) -> str:
    return f"{_md5(data)[:2]}/{_md5(data)[2:]}"


HEAD = re.compile(
    r".*\.index\.json|model_index\.json|MLmodel|\.metadata|metadata\.json|meta\.pt|saved_model\.pb|adapter_config\.json"
    r"|model\.weights\.json|model\.onnx|manifest\.ocdbt|_CHECKPOINT_METADATA|.*\.index|.*\.dir"
)
"""Names of what a loader opens first: it lists or describes what the same save wrote before it."""

SHAPES = re.compile(r".*(?:\.json|\.pb|\.pbtxt|\.onnx|MLmodel)")
"""Of these, those that say the same of every save of one shape: which pieces there are, and not their bytes."""

FIRST = re.compile(r".*ocdbt\.process_\d+/.*|(?:.*/)?_METADATA")
"""Members with the name of an index, and an index that is written before its members."""


@dataclass(frozen=True)
class Kind:
    """One layout as one library writes it. files: (step, count of pieces) -> what a save writes, in its order.

    optional: names of what a loader does without, or whose loss cannot be told; all other files must not be lost. pointers: files that
    name what is current. shards: the count of pieces may be chosen.
    """

    name: str
    layout: str
    files: Callable[[int, int], Files]
    optional: frozenset[str] = frozenset()
    pointers: frozenset[str] = frozenset()
    shards: bool = False

    def save(self, step: int, count: int = 3) -> Files:
        return self.files(step, count)

    def core(self, files: Files) -> Files:
        """What must be of one save, and there."""
        return {path: data for path, data in files.items() if path.rsplit("/", 1)[-1] not in self.optional and data}

    def lists(self, files: Files) -> dict[str, set[str]]:
        """Head or pointer -> what it speaks of: what the save wrote before it in its folder and below, other heads too."""
        before: set[str] = set()
        found: dict[str, set[str]] = {}
        for path in self.core(files):
            if path in self.pointers or (HEAD.fullmatch(path.rsplit("/", 1)[-1]) and not FIRST.fullmatch(path)):
                folder = path[: path.rfind("/") + 1]
                found[path] = {member for member in before if member.startswith(folder)}
            before.add(path)
        return found

    def __str__(self) -> str:
        return self.name


def _kind(
    files: Callable[[int, int], Files],
    layout: str,
    *optional: str,
    pointers: tuple[str, ...] = (),
    shards: bool = False,
) -> Kind:
    return Kind(files.__name__, layout, files, frozenset(optional), frozenset(pointers), shards)


TRACKER = "latest_checkpointed_iteration.txt"
KINDS = (
    _kind(mlflow, "mlflow", "conda.yaml"),
    _kind(mlflow_transformers, "mlflow", "config.json", "tokenizer.json", shards=True),
    _kind(triton, "triton", pointers=("config.pbtxt",)),
    _kind(triton_versions, "triton", pointers=("config.pbtxt",)),
    _kind(diffusers, "diffusers", shards=True),
    _kind(transformers, "transformers", "config.json", "tokenizer.json", shards=True),
    _kind(transformers_single, "transformers", "config.json"),
    _kind(transformers_bin, "transformers", "config.json", shards=True),
    _kind(peft, "peft"),
    _kind(gguf_split, "gguf", shards=True),
    _kind(gguf_single, "gguf"),
    _kind(onnx_external, "onnx"),
    _kind(keras, "keras"),
    _kind(keras_sharded, "keras", "config.json", shards=True),
    _kind(sagemaker, "sagemaker"),
    _kind(dcp, "dcp", shards=True),
    _kind(lightning, "lightning"),
    _kind(lightning_sharded, "lightning", shards=True),
    _kind(deepspeed, "deepspeed", "zero_to_fp32.py", pointers=("latest",), shards=True),
    _kind(deepspeed_steps, "deepspeed", "zero_to_fp32.py", pointers=("latest",), shards=True),
    _kind(megatron, "megatron", pointers=(TRACKER,), shards=True),
    _kind(megatron_steps, "megatron", pointers=(TRACKER,), shards=True),
    _kind(megatron_distributed, "megatron", pointers=(TRACKER,), shards=True),
    _kind(orbax, "orbax", "_sharding", shards=True),
    _kind(orbax_steps, "orbax", "_sharding", shards=True),
    _kind(saved_model, "tensorflow", "fingerprint.pb", "vocab.txt", shards=True),
    _kind(tf_checkpoint, "tensorflow", pointers=("checkpoint",), shards=True),
    _kind(dvc, "dvc", shards=True),
)
"""Every layout at least once."""
