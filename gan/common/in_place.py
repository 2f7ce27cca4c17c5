"""Show the output of another process, whose lines of progress replace each other.

Such a line begins with a carriage return. A process prints them if `gan.common.output.IN_PLACE` is set.
"""

from __future__ import annotations

import sys
import time
from typing import Any

INTERVAL = 10.0  # seconds between lines of progress if they cannot replace each other


class Lines:
    """Shows lines. A line of progress replaces the one before in a notebook and on a terminal; files get few of them.

    Args:
        quiet: show nothing.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.quiet = quiet
        self.handle: Any = None  # the line of progress in a notebook
        self.width = 0  # of the line of progress on a terminal
        self.shown = -INTERVAL  # when a line of progress was printed (seconds, monotonic)

    def show(self, text: str) -> None:
        if self.quiet:
            return
        if text.startswith("\r"):
            self.replace(text[1:])
            return
        self.close()
        print(text, flush=True)

    def replace(self, text: str) -> None:
        """Show a line of progress."""
        if in_notebook():
            from IPython.display import display

            content = {"text/plain": text}
            if self.handle is None:
                self.handle = display(content, raw=True, display_id=True)
            else:
                self.handle.update(content, raw=True)
        elif sys.stdout.isatty():
            print(f"\r{text:<{self.width}}", end="", flush=True)
            self.width = len(text)
        elif time.monotonic() - self.shown >= INTERVAL:
            self.shown = time.monotonic()
            print(text, flush=True)

    def close(self) -> None:
        """End the line of progress on a terminal."""
        if self.width:
            print(flush=True)
            self.width = 0


def in_notebook() -> bool:
    """Return whether this process is the kernel of a notebook."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    return shell is not None and hasattr(shell, "kernel")
