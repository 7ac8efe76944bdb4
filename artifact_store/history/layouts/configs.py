"""The small files beside weights: which of them a loader reads before it loads, and which are worth a look.

Known by their names alone. What such a file says is nobody's business here, only whether it is one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

LOADED = re.compile(
    r"""(?x)
    (?:config|model_index|adapter_config|tokenizer|tokenizer_config|special_tokens_map|added_tokens|vocab|modules)\.json
    | (?:preprocessor|processor|video_preprocessor|image_processor|scheduler)_config\.json
    | tokenizer\.model | spiece\.model | sentencepiece\.bpe\.model | vocab\.txt | merges\.txt
    | metadata\.json | preprocessor\.json
    """
)
"""Without these, or with broken ones, a model does not load where they lie beside its weights."""

BESIDE = re.compile(
    r"""(?x)
    generation_config\.json | chat_template\.json | quantize_config\.json | params\.json | trainer_state\.json
    | (?:config_sentence_transformers|sentence_bert_config)\.json | task\.json
    | conda\.yaml | python_env\.yaml | requirements\.txt | input_example\.json
    """
)
"""A loader does without these, or tells of them itself."""


def loaded(paths: Iterable[str]) -> tuple[str, ...]:
    return tuple(path for path in paths if LOADED.fullmatch(path.rsplit("/", 1)[-1]))


def is_config(path: str) -> bool:
    name = path.rsplit("/", 1)[-1]
    return bool(LOADED.fullmatch(name) or BESIDE.fullmatch(name))
