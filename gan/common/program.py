"""The command line of this process: what to type next, and how to start the same training in another process."""

from __future__ import annotations

import shlex

SCRIPT = "python train.py"
COMMAND = "gan train"


class _Started:
    """How training was started in this process."""

    command = COMMAND
    flags: tuple[str, ...] = ()


def started_as(command: str, *flags: str) -> None:
    """Record the command for training that the user typed, SCRIPT or COMMAND, and its --code and --config-dir."""
    _Started.command, _Started.flags = command, flags


def train_command() -> str:
    """Return the command for training as a user types it: `gan train`, or `python train.py` if that was typed.

    --code and --config-dir follow, because they must be typed again.
    """
    return " ".join([_Started.command, *map(shlex.quote, _Started.flags)])


def child_words() -> list[str]:
    """Return the words of this command line before the overrides, for the processes that Lightning starts."""
    return [*(["train"] if _Started.command == COMMAND else []), *_Started.flags]


def install(extra: str) -> str:
    """Return the command that installs the optional packages of an extra, such as "sweep".

    pip takes the extras of an installed package, of a checkout as well, so the package index need not have retro-gan.
    """
    return f"pip install 'retro-gan[{extra}]'"
