"""Start and end a program without garbage collections that find next to nothing. Imports no slow module.

Python looks through all objects again and again while the modules of a large program are imported, and once more at its
end. For a training, this takes a quarter of the time until the first step, and a second at the end.
"""

from __future__ import annotations

import atexit
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def skip_at_exit() -> None:
    """Let the program end without a collection. Call it first: exit handlers of other modules still run before."""
    atexit.register(gc.freeze)


@contextmanager
def skip_during_imports() -> Iterator[None]:
    """Import the modules of a training without collections, and leave them out of later ones.

    Do nothing if torch is imported already, because earlier work may have left objects for a collection to find.
    """
    first = "torch" not in sys.modules
    enabled = gc.isenabled()
    if first:
        gc.disable()
    try:
        yield
    finally:
        if first:
            gc.freeze()
            if enabled:
                gc.enable()
