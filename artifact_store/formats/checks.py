"""Checks of model files by a few ranged reads: what the header says against what the file is.

Chooses the format by the name; each is a pure generator in a module of its own. No file is ever unpickled, sizes and
depths are bounded, and a hostile file costs an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from artifact_store.formats import (
    archive,
    gguf,
    gzip_,
    hdf5,
    ocdbt,
    onnx,
    plain,
    safetensors,
    saved_model,
    sentencepiece,
    text,
)
from artifact_store.formats.finding import Check, Finding
from artifact_store.formats.source import HEAD, Fault, Source, Unread
from artifact_store.formats.stubs import LOOK, stub

SMALL = 64 * 1024
"""Bytes of a file of unknown name that is looked at for what lies where a file should be; stubs are smaller."""


@dataclass(frozen=True, slots=True)
class _Format:
    """whole: bytes of the largest file that is read in one request. head: of the first request of a larger one. markup:
    it may well begin as a page or an XML document does."""

    name: str
    check: Callable[[Source], Check]
    head: int = HEAD
    whole: int = HEAD
    may_be_empty: bool = False
    markup: bool = False


_ZIP = _Format(archive.NAME, archive.check, LOOK)
_TORCH = _Format(archive.NAME, archive.check_torch, LOOK)
_HDF5 = _Format(hdf5.NAME, hdf5.check, 4 * LOOK)
_JSON = _Format(text.JSON, text.check_json, whole=text.MAX_JSON)
_YAML = _Format(text.YAML, text.check_yaml, LOOK, text.MAX_YAML, may_be_empty=True)
_GZIP = _Format(gzip_.NAME, gzip_.check, LOOK)
_PIECES = _Format(sentencepiece.NAME, sentencepiece.check, LOOK, sentencepiece.MAX_MODEL)
_VOCABULARY = _Format(plain.TEXT, plain.check_text, LOOK, LOOK)

_ENDINGS = {
    "safetensors": _Format(safetensors.NAME, safetensors.check, safetensors.HEAD),
    "gguf": _Format(gguf.NAME, gguf.check),
    "pt": _TORCH,
    "pth": _TORCH,
    # also written by TensorFlow 1 (.ckpt), and by anybody who has bytes (.bin)
    "ckpt": _Format("", archive.check_ckpt, LOOK),
    "bin": _Format("", archive.check_maybe, LOOK),
    "distcp": _Format("", archive.check_distcp, LOOK, LOOK),
    "keras": _ZIP,
    "npz": _ZIP,
    "h5": _HDF5,
    "hdf5": _HDF5,
    "onnx": _Format(onnx.NAME, onnx.check, whole=onnx.WHOLE),
    "gz": _GZIP,
    "tgz": _GZIP,
    "json": _JSON,
    "yaml": _YAML,
    "yml": _YAML,
    "py": _Format(plain.PYTHON, plain.check_python, LOOK, plain.MAX_TEXT, may_be_empty=True),
    "txt": _Format(plain.TEXT, plain.check_text, LOOK, LOOK, may_be_empty=True, markup=True),
    "pbtxt": _Format(plain.PBTXT, plain.check_pbtxt, LOOK, plain.MAX_TEXT),
    "spm": _PIECES,
    "ocdbt": _Format(ocdbt.NAME, ocdbt.check, LOOK, ocdbt.MAX_MANIFEST),
}
_NAMES = {
    "mlmodel": _Format(text.YAML, text.check_mlmodel, LOOK, text.MAX_YAML),
    "saved_model.pb": _Format(saved_model.NAME, saved_model.check),
    "tokenizer.model": _PIECES,
    "spiece.model": _PIECES,
    "sentencepiece.model": _PIECES,
    "sentencepiece.bpe.model": _PIECES,
    "vocab.txt": _VOCABULARY,
}
_TORCH_NAMES = re.compile(
    r"(?:(?:diffusion_)?pytorch_model[-.\w]*|adapter_model|pytorch_lora_weights|training_args|optimizer|scheduler)\.bin"
)
"""Of the many that end so, those that are written by torch.save alone."""

_MARKUP = frozenset({"xml", "html", "htm", "xhtml", "svg", "md", "pmml", "ipynb"})
"""Endings of files that may well begin as a page or an XML document does."""


def check(path: str, size: int) -> Check:
    """Is the file what its name says? path: of which only the last part counts. size: bytes.

    Never raises for what the bytes are. An unknown name is looked at for stubs alone, where it is small.
    """
    name = path.rsplit("/", 1)[-1].lower()
    ending = name.rsplit(".", 1)[-1] if "." in name else ""
    known = _NAMES.get(name) or (_TORCH if _TORCH_NAMES.fullmatch(name) else _ENDINGS.get(ending))
    if known is None:
        return _unknown(size, markup=ending in _MARKUP)
    return _known(known, size)


def _unknown(size: int, *, markup: bool) -> Check:
    if not 0 < size <= SMALL:
        return Finding(proved=False)
    source = Source(size)
    try:
        head = yield from source.read(0, min(size, HEAD))
    except Fault as fault:
        return Finding(problem=str(fault), proved=False)
    return Finding(problem=stub(head, markup=markup), proved=False)


def _known(known: _Format, size: int) -> Check:
    if size == 0:
        problem = "" if known.may_be_empty else "is empty (0 bytes): its upload failed, or nothing was ever written"
        return Finding(known.name, problem)
    source = Source(size)
    try:
        head = yield from source.read(0, size if size <= known.whole else known.head)
        if problem := stub(head, markup=known.markup):
            return Finding(known.name, problem)
        return (yield from known.check(source))
    except Fault as fault:
        return Finding(known.name, str(fault))
    except Unread:
        return Finding(known.name, proved=False)
