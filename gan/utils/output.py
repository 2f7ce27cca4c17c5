"""Text for the user: lines, tables and progress."""

from __future__ import annotations

import os
import shutil
import sys
import time
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress

from gan.utils.processes import global_rank

INVISIBLE = ("Cc", "Cs", "Zl", "Zp")  # control characters, surrogates, line and paragraph separators
BIDIRECTIONAL = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")  # control the direction of text
MAX_LINE = 2000  # characters


def one_line(text: object, limit: int = MAX_LINE) -> str:
    """Return text in one line for a terminal: control characters are escaped, and the middle of long text is omitted.

    All text from files is printed through this function.
    """
    line = str(text)
    if len(line) > 2 * limit:  # so that escaping is fast
        line = line[:limit] + line[-limit:]
    line = "".join(ascii(letter)[1:-1] if is_invisible(letter) else letter for letter in line)
    half = (limit - 5) // 2
    return line if len(line) <= limit else f"{line[:half]} ... {line[-half:]}"


def is_invisible(letter: str) -> bool:
    """Return whether a letter is not shown, or controls the direction of text."""
    return unicodedata.category(letter) in INVISIBLE or letter in BIDIRECTIONAL


def escape_unprintable() -> None:
    """Let stdout and stderr escape characters that they cannot encode: on Windows, a file gets cp1252 by default."""
    # Text for a stream that is closed, as after `>&-`, is discarded.
    sys.stdout, sys.stderr = (stream or open(os.devnull, "w") for stream in (sys.stdout, sys.stderr))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError):  # a stream of another program, such as a notebook
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def print_line(text: str, all_ranks: bool = False) -> None:
    """Print `one_line` of a text to stdout at once, on rank 0 only by default."""
    if all_ranks or global_rank() == 0:
        print(one_line(text), flush=True)


def print_page(text: str) -> None:
    """Print text to stdout, and ignore that the reader has exited, as in `gan train --help | head`."""
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes stdout again at its end


def print_error(text: str) -> None:
    print(f"error: {text}", file=sys.stderr, flush=True)


def print_aligned(headings: Sequence[str], rows: Sequence[Sequence[str]], right: Collection[str] = ()) -> None:
    """Print a table, with columns as wide as needed. Columns with a heading in `right` end aligned."""
    widths = [max(map(len, column)) for column in zip(headings, *rows, strict=True)]
    for row in [headings, *rows]:
        cells = zip(headings, row, widths, strict=True)
        padded = [text.rjust(width) if heading in right else text.ljust(width) for heading, text, width in cells]
        print("  ".join(padded).rstrip())


def first_few(items: Sequence[str], limit: int, separator: str = ", ") -> str:
    """Return the first `limit` items as a list in text, which ends with the number of the others."""
    more = len(items) - limit
    return separator.join(items[:limit]) + (f" and {more:,} more" if more > 0 else "")


def shortened(text: str, limit: int) -> str:
    half = (limit - 3) // 2
    return text if len(text) <= limit else f"{text[: limit - 3 - half]}...{text[len(text) - half :]}"


def counted(number: int, thing: str) -> str:
    """Return a number with its noun, such as "1 run" or "2 runs"."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"


def shows_bars() -> bool:
    """Return whether stdout is a terminal that understands escape codes, and the user wants them.

    TERM=dumb and NO_COLOR (https://no-color.org) switch them off; then lines are printed instead of a bar.
    """
    wanted = os.environ.get("TERM", "") not in ("dumb", "unknown") and not os.environ.get("NO_COLOR")
    return wanted and sys.stdout.isatty()


def bar_width(columns: int) -> int:
    """Return the width of a bar in a terminal of `columns`, which leaves space for text: at most 40."""
    return min(40, columns // 4)


@contextmanager
def counting(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress towards `total` as a bar or lines. Yield a function to call with the number of items just done."""
    if not shows_bars():
        started = time.monotonic()
        print_line(f"{title}: {total} ...", all_ranks=True)
        yield lambda done: None
        print_line(f"{title}: {total} in {time.monotonic() - started:.1f} s", all_ranks=True)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # slow to import

    columns = shutil.get_terminal_size().columns
    bar = BarColumn(bar_width(columns))
    with Progress(TextColumn("{task.description}"), bar, MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task(shortened(title, max(12, columns - 2 * bar_width(columns) - 20)), total=total)
        yield lambda done: progress.advance(task, done)


def duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
