"""Options that were typed before the command: the same command line with them where they belong.

Gives none where a word is no option of that command, since then it is not known what was meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def mended(commands: Mapping[str, Any], words: Sequence[str]) -> list[str]:
    """The words with the options before the command behind it; [] where there are none, or none that can be moved.

    commands: by name, as typer makes them.
    """
    for index, word in enumerate(words):
        # The value of an option may be spelled like a command.
        if index and word in commands and _are_options(commands[word].params, words[:index]):
            return [word, *words[:index], *words[index + 1 :]]
    return []


def _are_options(params: Sequence[Any], words: Sequence[str]) -> bool:
    options = (param for param in params if param.param_type_name == "option")
    is_flag = {name: param.is_flag for param in options for name in (*param.opts, *param.secondary_opts)}
    left = iter(words)
    for word in left:
        name, equals, _ = word.partition("=")
        if name not in is_flag or (not is_flag[name] and not equals and next(left, None) is None):
            return False
    return True
