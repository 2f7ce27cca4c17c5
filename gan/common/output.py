"""Lines for the user."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from gan.common.processes import global_rank

IN_PLACE = "RETRO_GAN_IN_PLACE"  # environment variable: a line that begins with \r replaces the one before


def escape_unprintable() -> None:
    """Let stdout and stderr escape characters that they cannot encode: on Windows, a file gets cp1252 by default."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a stream of another program, such as a notebook
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def print_line(text: str, all_ranks: bool = False) -> None:
    """Print a line to stdout at once, on rank 0 only by default."""
    if all_ranks or global_rank() == 0:
        print(text, flush=True)


def print_page(text: str) -> None:
    """Print text to stdout, and ignore that the reader has exited, as in `gan train --help | head`."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout again at its end


def replaces_progress() -> bool:
    """Return whether the program that started this one replaces each line of progress by the next."""
    return IN_PLACE in os.environ


def print_progress(text: str) -> None:
    """Print a line of progress to stdout at once, on rank 0 only."""
    print_line(f"\r{text}" if replaces_progress() else text)


def print_error(text: str) -> None:
    """Print `error: text` to stderr at once."""
    print(f"error: {text}", file=sys.stderr, flush=True)
