"""Lines for the user."""

from __future__ import annotations

import sys

from gan.common.processes import global_rank


def print_line(text: str, all_ranks: bool = False) -> None:
    """Print a line to stdout at once, on rank 0 only by default."""
    if all_ranks or global_rank() == 0:
        print(text, flush=True)


def print_error(text: str) -> None:
    """Print `error: text` to stderr at once."""
    print(f"error: {text}", file=sys.stderr, flush=True)
