"""This process: its rank, signals, garbage collections, memory, and where it imports from. Imports no slow module.

Ctrl-C, SIGTERM and SIGHUP end a starting program without a traceback:

end_silently()                  call it before slow imports: Ctrl-C ends the process
with as_keyboard_interrupt():   for the program itself: Ctrl-C raises KeyboardInterrupt, except during imports
with termination_as_exit():     for the program itself: SIGTERM and SIGHUP raise SystemExit, so that cleanup runs
with deferred():                for a step that must be completed: Ctrl-C takes effect at its end

Python looks through all objects once more at its end. For a training, this garbage collection takes a second.
"""

from __future__ import annotations

import atexit
import gc
import os
import re
import signal
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import FrameType

UNKNOWN_MEMORY = 2 << 30  # bytes, if the available memory is unknown
DDP = "ddp_per_network"  # name of gan.training.trainer.DDPPerNetwork


def is_child() -> bool:
    """Return whether Lightning started this process as an additional rank. Its parent has prepared the run."""
    return "LOCAL_RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ and "RANK" not in os.environ


def global_rank() -> int:
    """Return the rank of this process under torchrun, SLURM or Lightning; 0 without any of them."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return int(next((rank for rank in ranks if rank), 0))


def num_external_ranks() -> int:
    return int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or 1)


@contextmanager
def safe_path() -> Iterator[None]:
    """A context in which new Python processes do not import from the current folder, unless this process does.

    A folder of images may contain files such as random.py. The commands are in this context from start to end, and
    functions that users import while they start processes, because it also changes processes that users start.
    """
    if "" in sys.path or "PYTHONSAFEPATH" in os.environ:
        yield
        return
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        os.environ.pop("PYTHONSAFEPATH", None)


# A closed terminal or a lost connection sends SIGHUP. Windows does not have it, and nohup ignores it.
HANGUP: int | None = getattr(signal, "SIGHUP", None)
TERMINATION = (signal.SIGTERM, *([] if HANGUP is None else [HANGUP]))
before_end: Callable[[], object] = int  # called before a signal ends the process during an import


def end_silently() -> None:
    """Make Ctrl-C end this process silently, unless the process ignores Ctrl-C, for example under nohup."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def handled(numbers: Sequence[int], handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Handle signals that are not handled or ignored yet. In other threads than the main one, do nothing."""
    main = threading.current_thread() is threading.main_thread()
    before = {number: signal.getsignal(number) for number in numbers if main}
    free = {number: old for number, old in before.items() if old in (signal.SIG_DFL, signal.default_int_handler)}
    for number in free:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in free.items():
            signal.signal(number, old)


def as_keyboard_interrupt() -> AbstractContextManager[None]:
    """Raise KeyboardInterrupt at Ctrl-C; during an import end the process silently."""
    return handled([signal.SIGINT], raise_unless_importing)


def raise_unless_importing(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, or end the process during an import: the handler of `as_keyboard_interrupt`.

    Libraries convert an exception during their import into their own errors. A process with children always raises
    KeyboardInterrupt, because it must end the children.
    """
    if importing(frame) and not has_children():
        before_end()
        end_by(number)
    raise KeyboardInterrupt


def end_by(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


def termination_as_exit() -> AbstractContextManager[None]:
    """Raise SystemExit at SIGTERM and SIGHUP, so that cleanup runs; during an import clean up and end the process.

    The exit code is 128 + the signal. Forked processes end at once, because the cleanup is not theirs.
    """
    owner = os.getpid()

    def end(number: int, frame: FrameType | None) -> None:
        leave_closed_terminal(number)
        if os.getpid() == owner:
            if has_children() or not importing(frame):
                raise SystemExit(128 + number)
            before_end()
        end_by(number)

    return handled(TERMINATION, end)


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
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def has_children() -> bool:
    processes = sys.modules.get("multiprocessing")
    return bool(processes and processes.active_children())


def skip_at_exit() -> None:
    """Let the program end without a collection. Call it first: exit handlers of other modules still run before."""
    atexit.register(lambda: gc.unfreeze() if "triton" in sys.modules else gc.freeze())  # triton prints what is left


@contextmanager
def skip_during_imports() -> Iterator[None]:
    """Import the modules of a training without collections, which take a sixth of the time to its first step.

    Do nothing if torch is imported already, because earlier work may have left objects for a collection to find.
    """
    if "torch" in sys.modules or not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def available_memory() -> int:
    """Return the available memory in bytes: Linux's estimate, at most the limit of the container."""
    try:
        (kilobytes,) = re.findall(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())
        free = 1024 * int(kilobytes)
        limit, used = (Path("/sys/fs/cgroup", f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return free if limit == "max" else max(0, min(free, int(limit) - int(used)))
    except FileNotFoundError as error:
        return free if "cgroup" in str(error.filename) else UNKNOWN_MEMORY
    except ValueError:  # no such line
        return UNKNOWN_MEMORY
