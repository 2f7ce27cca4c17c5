"""Show the progress of a long operation: a bar on a terminal, otherwise lines."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gan.common.narrow import bar_width, shows_bars
from gan.common.output import print_line
from gan.common.table import shortened


@contextmanager
def counting(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """Show progress towards `total`. Yield a function to call with the number of items just completed."""
    if not shows_bars():
        started = time.monotonic()
        print_line(f"{title}: {total} ...", all_ranks=True)
        yield lambda done: None
        print_line(f"{title}: {total} in {time.monotonic() - started:.1f} s", all_ranks=True)
        return
    from rich.console import Console  # slow to import
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console()
    bar = BarColumn(bar_width(console.width))
    columns = (TextColumn("{task.description}"), bar, MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(
            shortened(title, max(12, console.width - 2 * bar_width(console.width) - 20)), total=total
        )
        yield lambda done: progress.advance(task, done)


def duration(seconds: float) -> str:
    """Return a duration as h:mm:ss, or m:ss below an hour."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
