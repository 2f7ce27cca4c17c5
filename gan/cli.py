"""The `gan` command; each sub-command is a file in gan/commands, read only when it is used."""

from __future__ import annotations

import sys

from gan.common import signals

if __name__ == "__main__" or sys.argv[0].removesuffix(".exe").endswith("gan"):  # not where Python code imports it
    signals.end_silently()

import argparse
import importlib
import os
from collections.abc import Sequence
from typing import NoReturn

from gan.common.errors import UserError, describe_os_error, to_line

COMMANDS = {
    "generate": "draw images from a trained run",
    "directions": "find in which directions of the latents images change",
    "project": "find the latents of images",
    "edit": "change images through their latents",
    "recognize": "tell classes of images by what a discriminator has learned",
    "interpolate": "go from image to image of a trained run, as a GIF or a video",
    "translate": "turn pictures into the style of a trained translator",
    "compare": "compare runs: a table of options and scores, curves of metrics",
    "evaluate": "measure how good and how original the images of a run or of a folder are",
    "data": "look at a folder of images before training; list or clear the cache",
}


class Parser(argparse.ArgumentParser):
    """One that does not repeat all of a long argument."""

    def error(self, message: str) -> NoReturn:
        super().error(to_line(message))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one sub-command and return its exit code; 2 and one line for what a user can mend."""
    with signals.as_keyboard_interrupt():
        try:
            return execute(arguments)
        except KeyboardInterrupt:
            return 130


def execute(arguments: Sequence[str] | None) -> int:
    parser = Parser(prog="gan", description="Work with GANs that train.py has trained.")
    subparsers = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, meaning in COMMANDS.items():
        command = importlib.import_module(f"gan.commands.{name}")
        subparser = subparsers.add_parser(name, help=meaning, description=command.__doc__)
        command.add_arguments(subparser)
        subparser.set_defaults(execute=command.run)
    parsed = parser.parse_args(arguments)
    try:
        code: int | None = parsed.execute(parsed)
        sys.stdout.flush()  # here, where it may fail
    except BrokenPipeError:  # of `gan compare ... | head`: nobody reads the rest
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (UserError, OSError) as error:
        if os.environ.get("HYDRA_FULL_ERROR") == "1":
            raise
        print(f"error: {to_line(describe_os_error(error) if isinstance(error, OSError) else error)}", file=sys.stderr)
        return 2
    return code or 0


if __name__ == "__main__":
    sys.exit(main())
