"""Models as Hugging Face transformers saves them: weights in one file or in shards with an index, configs, tokenizer.

Owns which files of the folder belong to such a model and which of two ways to read it a loader takes. Refuses nothing:
formats lie side by side and each is a set of its own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from artifact_store.history.layouts.content import direct_names
from artifact_store.history.layouts.marks import MARKS
from artifact_store.history.layouts.weights import Family, weight_sets
from artifact_store.history.sets import Folder, Layout, ModelSet, Reading


def _safetensors(single: str, index: str) -> Mapping[str, str]:
    # transformers 5.24 looks for the single file first, vLLM drops what the index does not name; vllm#40765: streamer
    return {"transformers": single, "vLLM": index, "vLLM with runai_streamer": "every .safetensors file"}


def _bin(single: str, _index: str) -> Mapping[str, str]:
    return {"transformers": single, "vLLM": "every .bin file"}


def _old(single: str, index: str) -> Mapping[str, str]:
    return {"transformers": single, "readers of indexes": index}


FAMILIES = (
    Family("model", "safetensors", _safetensors),
    Family("pytorch_model", "bin", _bin),
    Family("tf_model", "h5", _old),
    Family("flax_model", "msgpack", _old),
)

COMPANIONS = re.compile(
    r"""(?x)
    (?:config|generation_config|modules|config_sentence_transformers|sentence_bert_config|quantize_config)\.json
    | tokenizer.* | special_tokens_map\.json | added_tokens\.json | vocab\..* | merges\.txt | spiece\.model
    | .*\.(?:tiktoken|jinja|py) | .*processor_config\.json | chat_template.*
    | consolidated(?:-\d+-of-\d+)?\.safetensors | params\.json
    | (?:README|MODEL_CARD|LICENSE|USE_POLICY)(?:\..*)?
    | training_args\.bin | trainer_state\.json | (?:optimizer|scheduler|scaler)\.(?:pt|bin) | rng_state.*\.pth
    | random_states_\d+\.pkl
    """
)


def companions(folder: Folder) -> tuple[str, ...]:
    """Configs, tokenizer, custom code and training state that lie directly in the folder."""
    return tuple(name for name in direct_names(folder) if COMPANIONS.fullmatch(name))


def _recognise(folder: Folder) -> Reading[list[ModelSet]]:
    sets = yield from weight_sets(folder, "transformers", FAMILIES, companions(folder))
    plain = {found.name for found in sets}
    return [replace(found, warnings=(*found.warnings, *_notes(folder, found, plain))) for found in sets]


def _notes(folder: Folder, found: ModelSet, names: set[str]) -> list[str]:
    notes = []
    if "config.json" not in folder.files:
        notes.append("no config.json beside the weights: from_pretrained cannot load them without")
    variant, _, suffix = found.name.rpartition(".")
    if suffix in {"bin", "h5", "msgpack"} and variant in names:
        notes.append("safetensors lie beside these files and are taken before them")
    return notes


LAYOUT = Layout("transformers", MARKS["transformers"], _recognise)
