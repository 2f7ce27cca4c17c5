"""Work spread over all cores, which goes on when a process dies: a decoder may crash on a hostile file."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import forkserver, resource_tracker
from threading import Thread
from typing import Any, TypeVar

from PIL import Image

from gan.common.errors import UserError
from gan.common.memory import available
from gan.common.signals import deferred
from gan.data.decoding.decode import ImageError

Task = TypeVar("Task")
Result = TypeVar("Result")
CHUNK = 0.05  # seconds of work sent to a process at a time
MOST = 64  # tasks of a chunk
AHEAD = 16  # chunks sent to each process before the results of the first are taken
HERE = 0.5  # seconds of trusted work done in this process, before starting others is worth it
LIMIT = 60  # seconds of a core that a task may take: it ends a process that a file keeps busy for hours
LEAST_MEMORY = 1 << 30  # bytes that a process may take, however little there is
# Imported once for all processes. None of ours: the server that forks them does not know where this process found them,
# and would take those of an installed version for those of a checkout.
LIBRARIES = ["numpy.random", "json", "filelock"]
LIBRARIES += [f"PIL.Image{part}" for part in ("Cms", "Ops", "Filter", "Draw", "Font")]
LIBRARIES += [f"PIL.{form}ImagePlugin" for form in ("Bmp", "Gif", "Jpeg", "Ppm", "Png")]  # Pillow imports them late
UNGUARDED = (
    "no process can be started to share the work: in a script of your own, what it does belongs below "
    'if __name__ == "__main__":'
)
CRASHED = f"the decoder crashed, took more than {LIMIT} s or ran out of memory on it"


def spread(
    work: Callable[[Task], Result],
    tasks: Sequence[Task],
    crashed: Callable[[Task], Result],
    trusted: bool = False,
) -> Iterator[list[Result]]:
    """The results of `work` in order, a few at a time, made in processes of their own, however few cores there are.

    Args:
        work: sent to each process once, so it pickles; called again where a process died.
        crashed: the result for a task that kills its process, or that takes more than LIMIT seconds.
        trusted: nothing that strangers made is read: this process works, too, as far as that is faster.
    """
    processes = cores()
    left = deque(tasks)
    started = time.monotonic()
    while trusted and left and (processes == 1 or time.monotonic() - started < HERE):
        yield [work(left.popleft())]
    while left:
        waiting: deque[list[Task]] = deque()
        futures: deque[Future[list[Result]]] = deque()
        with _processes(min(processes, len(left)), work) as pool:
            _boot(pool)
            started, done, size = time.monotonic(), 0, 1
            try:
                while left or waiting:
                    while left and len(waiting) < AHEAD * processes:
                        waiting.append(_take(left, min(size, 1 + len(left) // (2 * processes))))
                        futures.append(_submit(pool, waiting[-1]))
                    yield futures.popleft().result()
                    done += len(waiting.popleft())
                    size = max(1, min(MOST, round(CHUNK * processes * done / (time.monotonic() - started))))
            except BrokenProcessPool:
                while len(waiting) > 2 * processes:  # one of those at the head did it, the others go on with the next
                    left.extendleft(reversed(waiting.pop()))
        for chunk in waiting:
            yield list(_one_by_one(work, chunk, crashed))


class Apart:
    """Calls functions in another process, which is started again where one of them ends it.

    The functions and what they take and return pickle; errors come through.
    """

    def __init__(self) -> None:
        self.pool: ProcessPoolExecutor | None = None

    def __call__(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """What the function returns; ImageError where it ends its process."""
        if self.pool is None:
            self.pool = _pool(1, _call)
            _boot(self.pool)
        try:
            return _submit(self.pool, [(function, arguments)]).result()[0]
        except BrokenProcessPool as error:
            self.close()
            raise ImageError(CRASHED) from error

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None

    def __enter__(self) -> Apart:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _call(task: tuple[Callable[..., Any], tuple[Any, ...]]) -> Any:
    function, arguments = task
    return function(*arguments)


def check_main() -> None:
    """UserError in a process of the pool that runs the user's script once more while it starts.

    To be called before waiting for anything that the process which started it holds, such as a lock.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself finds out
        raise UserError(UNGUARDED)


def _take(left: deque[Task], count: int) -> list[Task]:
    return [left.popleft() for _ in range(min(count, len(left)))]


def cores() -> int:
    """Those that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _one_by_one(
    work: Callable[[Task], Result], chunk: Sequence[Task], crashed: Callable[[Task], Result]
) -> Iterator[Result]:
    left = deque(chunk)
    while left:
        with _processes(1, work) as pool:
            try:
                while left:
                    yield from _submit(pool, [left[0]]).result()
                    left.popleft()
            except BrokenProcessPool:
                yield crashed(left.popleft())


def _boot(pool: ProcessPoolExecutor) -> None:
    """Wait until processes are there, or say what keeps them from being started."""
    try:
        _submit(pool, ()).result()
    except BrokenProcessPool as error:
        raise UserError(UNGUARDED) from error


@contextmanager
def _processes(count: int, work: Callable[[Any], Any]) -> Iterator[ProcessPoolExecutor]:
    pool = _pool(count, work)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _pool(count: int, work: Callable[[Any], Any]) -> ProcessPoolExecutor:
    # no plain fork, which would copy the locks of torch's and the progress bar's threads
    clean = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(clean)
    context.set_forkserver_preload(LIBRARIES)
    if clean == "forkserver":
        resource_tracker.ensure_running()  # first, since it ends by letting Ctrl-C through
        with deferred():  # the server inherits it: Ctrl-C would end it with a traceback while it imports
            forkserver.ensure_running()
    memory = max(LEAST_MEMORY, available() // count)
    return ProcessPoolExecutor(count, context, initializer=_receive, initargs=(work, memory, LIMIT))


def _submit(pool: ProcessPoolExecutor, chunk: Sequence[Any]) -> Future[list[Any]]:
    """Send tasks to a pool, which may start a process for them: Ctrl-C between its parts would leave it with half."""
    with deferred():
        return pool.submit(_work_on, chunk)


_received: Callable[[Any], Any]  # of this process: sent once, not with each chunk
_seconds: float  # of a core that a task may take


def _receive(work: Callable[[Any], Any], memory: int, seconds: float) -> None:
    global _received, _seconds
    _received, _seconds = work, seconds
    _keep_memory()
    _limit_memory(memory)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the main process ends the others
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A main process that is killed cannot end the others, which would wait for work for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _limit_memory(most: int) -> None:
    """A hostile file that asks for more gets a MemoryError, and other programs keep what they have."""
    with suppress(ImportError, OSError, ValueError):  # a system that has no such limit
        import resource

        resource.setrlimit(resource.RLIMIT_DATA, (most, resource.getrlimit(resource.RLIMIT_DATA)[1]))


def _keep_memory() -> None:
    """Hold on to freed memory: for a small image, fetching fresh pages from the kernel takes as long as decoding it."""
    Image.core.set_blocks_max(4)  # of 16 MB
    with suppress(OSError, AttributeError):  # a system whose C library is not glibc
        mallopt = ctypes.CDLL(None).mallopt
        for threshold in (-1, -3):  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
            mallopt(threshold, 1 << 26)


def _work_on(chunk: Sequence[Any]) -> list[Any]:
    return [_limited(task) for task in chunk]


def _limited(task: Any) -> Any:
    """The result of a task; the system ends this process where that takes too long."""
    if hasattr(signal, "setitimer"):  # not on Windows
        signal.setitimer(signal.ITIMER_PROF, _seconds)
    return _received(task)
