"""Handle Ctrl-C, SIGTERM and SIGHUP: they end a starting program without a traceback. Imports no slow module.

end_silently()                  call it before slow imports: Ctrl-C ends the process
with as_keyboard_interrupt():   for the program itself: Ctrl-C raises KeyboardInterrupt, except during imports
with termination_as_exit():     for the program itself: SIGTERM and SIGHUP raise SystemExit, so that cleanup runs
with deferred():                for a step that must be completed: Ctrl-C takes effect at its end
"""

from __future__ import annotations

import os
import signal
import stat
import sys
import threading
from contextlib import contextmanager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType


# A closed terminal or a lost connection sends SIGHUP. Windows does not have it, and nohup ignores it.
HANGUP: int | None = getattr(signal, "SIGHUP", None)
TERMINATION = (signal.SIGTERM, *([] if HANGUP is None else [HANGUP]))
before_end: Callable[[], object] = int  # called before a signal ends the process during an import


def end_silently() -> None:
    """Make Ctrl-C end this process silently, unless the process ignores Ctrl-C, for example under nohup."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def as_keyboard_interrupt() -> Iterator[None]:
    """Raise KeyboardInterrupt at Ctrl-C; during an import end the process silently."""
    before = signal.getsignal(signal.SIGINT)
    ours = threading.current_thread() is threading.main_thread() and before in (
        signal.SIG_DFL,
        signal.default_int_handler,
    )
    if ours:
        signal.signal(signal.SIGINT, raise_unless_importing)
    try:
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, before)


def raise_unless_importing(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or end the process during an import: the handler of `as_keyboard_interrupt`.

    Libraries convert an exception during their import into their own errors. A process with children always raises
    KeyboardInterrupt, because it must end the children.
    """
    if importing(frame) and not has_children():
        before_end()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)
    raise KeyboardInterrupt


@contextmanager
def termination_as_exit() -> Iterator[None]:
    """Raise SystemExit at SIGTERM and SIGHUP, so that cleanup runs; during an import clean up and end the process.

    The exit code is 128 + the signal. A signal that is handled or ignored already stays so. Forked processes end at
    once, because the cleanup is not theirs.
    """
    owner = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        own = os.getpid() == owner
        leave_closed_terminal(number)
        if own and (has_children() or not importing(frame)):
            raise SystemExit(128 + number)
        if own:
            before_end()
        signal.signal(number, signal.SIG_DFL)
        signal.raise_signal(number)

    main = threading.current_thread() is threading.main_thread()
    ours = [number for number in TERMINATION if main and signal.getsignal(number) is signal.SIG_DFL]
    for number in ours:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def leave_closed_terminal(number: int) -> None:
    """After SIGHUP, discard what is written to a terminal: it is closed, and writing to it raises OSError."""
    if number != HANGUP:
        return
    null = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # not a file or a pipe, as in `gan train > log`
        if stat.S_ISCHR(os.fstat(stream).st_mode):
            os.dup2(null, stream)
    os.close(null)


@contextmanager
def deferred() -> Iterator[None]:
    """Defer Ctrl-C to the end of the block, also for processes and threads that are started in it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []
    # New threads and processes inherit the mask. Existing threads have no mask and still receive the signal, so a
    # handler is needed too.
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
    """Return whether a frame is inside an import."""
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def has_children() -> bool:
    """Return whether processes started by multiprocessing are still running."""
    processes = sys.modules.get("multiprocessing")
    return bool(processes and processes.active_children())
