"""Ctrl-C while a program starts: it ends at once and without a traceback. Imports nothing that takes time.

quiet()           the first lines of a program: the signal ends the process, as the system would
with raised():    the program itself: KeyboardInterrupt, except while modules are read
with uninterrupted():    what must not be done by half: the signal arrives at its end
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType


def quiet() -> None:
    """Let Ctrl-C end this process silently; one that was told to ignore it, as by nohup, goes on ignoring it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def raised() -> Iterator[None]:
    """Turn Ctrl-C into KeyboardInterrupt, or end the process silently in the middle of an import."""
    before = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread() and before in (
        signal.SIG_DFL,
        signal.default_int_handler,
    )
    if ours:
        signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


def interrupt(number: int, frame: FrameType | None) -> None:
    """Libraries answer an exception in the middle of their import with errors of their own, so none is raised there.

    Where further processes have been started, they have to be ended in order, and it is raised all the same.
    """
    if importing(frame) and not has_children():
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    raise KeyboardInterrupt


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the end, for processes and threads that are started inside, too."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    # A mask, which those that are started inherit, and a handler: threads from before have no mask and take the signal.
    masked = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT}) if hasattr(signal, "pthread_sigmask") else None
    before = signal.signal(signal.SIGINT, lambda number, frame: arrived.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if masked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, masked)
        if arrived:
            signal.raise_signal(signal.SIGINT)


def importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def has_children() -> bool:
    processes = sys.modules.get("multiprocessing")
    return bool(processes and processes.active_children())
