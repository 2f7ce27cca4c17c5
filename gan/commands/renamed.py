"""Old names of commands and options: an error message tells the new name."""

from __future__ import annotations

from collections.abc import Sequence

from gan.commands import foreign_words
from gan.common.errors import UserError

COMMANDS = {"recognise": "recognize"}
OPTIONS = {
    "--against": "--reference",
    "--alone": "--no-baselines",
    "--average": "--ema",
    "--beside": "--baselines",
    "--looks": "--statistics",
    "--originals": "--memorization",
    "--rate": "--fps",
}


def check(words: Sequence[str]) -> None:
    """Raise UserError if a command line contains an old name, or a word of another program."""
    if words and words[0] in COMMANDS:
        raise UserError(f"{words[0]} is now {COMMANDS[words[0]]}")
    for word in words:
        name = word.partition("=")[0]
        if name in OPTIONS:
            raise UserError(f"{name} is now {OPTIONS[name]}")
    foreign_words.check(words)
