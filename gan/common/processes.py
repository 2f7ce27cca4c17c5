"""This process: its rank, signals, garbage collections, memory, and where it imports from. Imports no slow module.

Ctrl-C, SIGTERM and SIGHUP end a starting program without a traceback:

end_silently()                  call it before slow imports: Ctrl-C ends the process
with as_keyboard_interrupt():   for the program itself: Ctrl-C raises KeyboardInterrupt, except during imports
with termination_as_exit():     for the program itself: SIGTERM and SIGHUP raise SystemExit, so that cleanup runs
with deferred():                for a step that must be completed: Ctrl-C takes effect at its end

Python looks through all objects again and again while the modules of a large program are imported, and once more at its
end. For a training, these garbage collections take a quarter of the time until the first step, and a second at the end.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import re
import signal
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

DDP = "ddp_per_network"  # name of gan.training.strategy.DDPPerNetwork


def is_child() -> bool:
    """Return whether Lightning started this process as an additional rank. Its parent has prepared the run."""
    return "LOCAL_RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ and "RANK" not in os.environ


def global_rank() -> int:
    """Return the rank of this process under torchrun, SLURM or Lightning; 0 without any of them."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return int(next((rank for rank in ranks if rank), 0))


def started_externally() -> bool:
    """Return whether torchrun or SLURM has started several processes, possibly with one device each."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1 or int(os.environ.get("SLURM_NTASKS") or 1) > 1


def num_external_ranks() -> int:
    """Return the number of processes that torchrun or SLURM has started for this run."""
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


ARENAS = 2
DEFAULT = 2 << 30  # bytes, if the amount is unknown


def available_memory() -> int:
    """Return the available memory in bytes: Linux's estimate, at most the limit of the container."""
    try:
        (kilobytes,) = re.findall(r"MemAvailable: +(\d+)", Path("/proc/meminfo").read_text())
        free = 1024 * int(kilobytes)
        limit, used = (Path("/sys/fs/cgroup", f"memory.{name}").read_text().strip() for name in ("max", "current"))
        return free if limit == "max" else max(0, min(free, int(limit) - int(used)))
    except FileNotFoundError as error:
        return free if "cgroup" in str(error.filename) else DEFAULT
    except ValueError:  # no such line
        return DEFAULT


def share_arenas() -> None:
    """Let the threads of this process share two pools of memory, and return freed memory to the system.

    glibc gives each thread a pool of its own. A server whose 40 threads serve bursts of calls kept 20 MB more after
    each burst; with shared pools it keeps 13 MB after seven.
    """
    with suppress(OSError, AttributeError, TypeError):  # no glibc; on Windows CDLL needs a name
        mallopt = ctypes.CDLL(None).mallopt
        for option, value in ((-8, ARENAS), (-1, 1 << 17)):  # M_ARENA_MAX and M_TRIM_THRESHOLD of malloc.h
            mallopt(option, value)
