"""Work spread over all cores, which goes on when a process dies: a decoder may crash on a hostile file."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

from PIL import Image

from gan.errors import UserError

Task = TypeVar("Task")
Result = TypeVar("Result")
CHUNK = 0.05  # seconds of work sent to a process at a time
TRIAL = 0.05  # seconds of work done here to see how long it all takes
ALONE = 0.5  # seconds of work left for which starting processes is not worth it; 0: all work is theirs
PLUGINS = [f"PIL.{form}ImagePlugin" for form in ("Bmp", "Gif", "Jpeg", "Ppm", "Png")]  # Pillow imports them late
UNGUARDED = (
    "no process can be started to share the work: in a script of your own, what it does belongs below "
    'if __name__ == "__main__":'
)


def spread(
    work: Callable[[Task], Result], tasks: Sequence[Task], crashed: Callable[[Task], Result]
) -> Iterator[list[Result]]:
    """The results of `work` in order, a few at a time.

    Args:
        work: sent to each process once, so it pickles; called again where a process died.
        crashed: the result for a task that kills its process.
    """
    processes = cores()
    left = deque(tasks)
    started, passed, done = time.monotonic(), 0.0, 0
    while left and (processes == 1 or (ALONE > 0 and (passed < TRIAL or passed / done * len(left) < ALONE))):
        yield [work(task) for task in _take(left, 1 + done // 8)]
        passed, done = time.monotonic() - started, len(tasks) - len(left)
    most = CHUNK / passed * done if done else 64
    chunk = max(1, round(min(most, len(left) / (8 * processes))))
    waiting = deque(_take(left, chunk) for _ in range(0, len(left), chunk))
    crash = False
    while waiting:
        with _processes(processes, work) as pool, ThreadPoolExecutor(1) as starter:
            ready = starter.submit(_boot, pool, processes)
            while waiting and ALONE and not crash and not ready.done():  # meanwhile this process goes on
                yield [work(task) for task in waiting.popleft()]
            if ready.exception():
                raise UserError(UNGUARDED)
            try:
                for future in [pool.submit(_work_on, chunk) for chunk in waiting]:
                    yield future.result()
                    waiting.popleft()
            except BrokenProcessPool:
                crash = True
        for _ in range(min(2 * processes, len(waiting))):  # one of the chunks at the head did it
            yield list(_one_by_one(work, waiting.popleft(), crashed))


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
                    yield from pool.submit(_work_on, [left[0]]).result()
                    left.popleft()
            except BrokenProcessPool:
                yield crashed(left.popleft())


def _boot(pool: ProcessPoolExecutor, processes: int) -> None:
    """Start all processes and wait until they are there: each has to import what it works with."""
    for future in [pool.submit(_work_on, ()) for _ in range(processes)]:
        future.result()


@contextmanager
def _processes(count: int, work: Callable[[Any], Any]) -> Iterator[ProcessPoolExecutor]:
    # no plain fork, which would copy the locks of torch's and the progress bar's threads
    clean = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(clean)
    context.set_forkserver_preload(["gan.data.cache", *PLUGINS])  # imported once for all
    pool = ProcessPoolExecutor(count, context, initializer=_receive, initargs=(work,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


_received: Callable[[Any], Any]  # of this process: sent once, not with each chunk


def _receive(work: Callable[[Any], Any]) -> None:
    global _received
    _received = work
    _keep_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the main process ends the others


def _keep_memory() -> None:
    """Hold on to freed memory: for a small image, fetching fresh pages from the kernel takes as long as decoding it."""
    Image.core.set_blocks_max(4)  # of 16 MB
    with suppress(OSError, AttributeError):  # a system whose C library is not glibc
        mallopt = ctypes.CDLL(None).mallopt
        for threshold in (-1, -3):  # M_TRIM_THRESHOLD and M_MMAP_THRESHOLD of malloc.h
            mallopt(threshold, 1 << 26)


def _work_on(chunk: Sequence[Any]) -> list[Any]:
    return [_received(task) for task in chunk]
