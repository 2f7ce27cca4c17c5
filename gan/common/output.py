"""Lines for the user."""

from __future__ import annotations

import os
import sys

from gan.common.processes import global_rank

IN_PLACE = "RETRO_GAN_IN_PLACE"  # environment variable: a line that begins with \r replaces the one before


def print_line(text: str, all_ranks: bool = False) -> None:
    """Print a line to stdout at once, on rank 0 only by default."""
    if all_ranks or global_rank() == 0:
        print(text, flush=True)


def replaces_progress() -> bool:
    """Return whether the program that started this one replaces each line of progress by the next."""
    return IN_PLACE in os.environ


def print_progress(text: str) -> None:
    """Print a line of progress to stdout at once, on rank 0 only."""
    print_line(f"\r{text}" if replaces_progress() else text)


def print_error(text: str) -> None:
    """Print `error: text` to stderr at once."""
    print(f"error: {text}", file=sys.stderr, flush=True)
