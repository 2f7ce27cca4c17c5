"""What a terminal can show: a bar, and the width of a table."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Collection, Sequence

from gan.common.table import aligned, shortened


def shows_bars() -> bool:
    """Return whether stdout is a terminal that understands escape codes, and the user wants them.

    TERM=dumb and NO_COLOR (https://no-color.org) switch them off; then lines are printed instead of a bar.
    """
    wanted = os.environ.get("TERM", "") not in ("dumb", "unknown") and not os.environ.get("NO_COLOR")
    return wanted and sys.stdout.isatty()


def bar_width(columns: int) -> int:
    """Return the width of a bar in a terminal of `columns`, which leaves space for text: at most 40."""
    return min(40, columns // 4)


def is_too_wide(line: str) -> bool:
    """Return whether a line is wider than the terminal; False if stdout is a file or a pipe."""
    return sys.stdout.isatty() and len(line) > shutil.get_terminal_size().columns


def print_aligned(
    headings: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = (), max_cell: int | None = None
) -> None:
    """Print a table as wide as needed; in a narrow terminal, a block per row.

    Args:
        right: as in `gan.common.table.aligned`.
        max_cell: characters to which cells are shortened in a narrow terminal, if that makes the table fit.
    """
    lines = aligned(headings, rows, right)
    if max_cell and is_too_wide(max(lines, key=len)):
        lines = aligned(headings, [[shortened(cell, max_cell) for cell in row] for row in rows], right)
    if is_too_wide(max(lines, key=len)):
        print_stacked(headings, rows)
    else:
        print("\n".join(lines))


def print_stacked(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table for a narrow terminal: a block per row, which starts with its first cell, a line per column."""
    width = max(map(len, headings[1:]), default=0)
    for name, *cells in rows:
        print(
            "\n".join([name, *(f"  {head:<{width}}  {cell}" for head, cell in zip(headings[1:], cells, strict=True))])
        )
