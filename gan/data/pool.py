"""Work spread over all cores, which goes on when a process dies: a decoder may crash on a hostile file."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, TypeVar

Task = TypeVar("Task")
Result = TypeVar("Result")
CHUNK = 64  # tasks sent to a process at a time
ALONE = 0.2  # seconds of work done here before processes are started, which takes about as long; 0: none is


def spread(
    work: Callable[[Task], Result], tasks: Sequence[Task], crashed: Callable[[Task], Result]
) -> Iterator[list[Result]]:
    """The results of `work` in order, a few at a time.

    Args:
        work: sent to each process once, so it pickles; called again where a process died.
        crashed: the result for a task that kills its process.
    """
    processes = cores()
    chunk = max(1, min(CHUNK, len(tasks) // (8 * processes)))
    waiting = deque(tasks[first : first + chunk] for first in range(0, len(tasks), chunk))
    started = time.monotonic()
    while waiting and (processes == 1 or time.monotonic() - started < ALONE):
        yield [work(task) for task in waiting.popleft()]
    crash = False
    while waiting:
        with _processes(processes, work) as pool, ThreadPoolExecutor(1) as starter:
            ready = starter.submit(_boot, pool)
            while waiting and ALONE and not crash and not ready.done():  # meanwhile this process goes on
                yield [work(task) for task in waiting.popleft()]
            try:
                for future in [pool.submit(_work_on, chunk) for chunk in waiting]:
                    yield future.result()
                    waiting.popleft()
            except BrokenProcessPool:
                crash = True
        for _ in range(min(2 * processes, len(waiting))):  # one of the chunks at the head did it
            yield list(_one_by_one(work, waiting.popleft(), crashed))


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


def _boot(pool: ProcessPoolExecutor) -> None:
    """Wait until the processes are there: each has to import what it works with."""
    pool.submit(_work_on, ()).result()


@contextmanager
def _processes(count: int, work: Callable[[Any], Any]) -> Iterator[ProcessPoolExecutor]:
    # spawn: a fork would copy the locks of torch's and the progress bar's threads
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, context, initializer=_receive, initargs=(work,))
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


_received: Callable[[Any], Any]  # of this process: sent once, not with each chunk


def _receive(work: Callable[[Any], Any]) -> None:
    global _received
    _received = work
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the main process ends the others


def _work_on(chunk: Sequence[Any]) -> list[Any]:
    return [_received(task) for task in chunk]
