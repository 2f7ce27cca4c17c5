"""Decode in processes on all cores. If a hostile file crashes a decoder, the others continue."""

from __future__ import annotations

import errno
import itertools
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from threading import Thread
from typing import Any, TypeVar

from gan.data.decoding.reader import ImageError
from gan.utils.errors import UserError
from gan.utils.processes import available_memory, deferred, safe_path

Task = TypeVar("Task")
Result = TypeVar("Result")
CHUNK_SECONDS = 0.05  # seconds of work to send to a process at a time
MAX_CHUNK = 8  # maximum number of tasks in a chunk
CHUNKS_AHEAD = 8  # chunks to send to each process before collecting the first results
SUSPECTS = 2  # chunks of each process that may have crashed: the one that it computes and the next one in its queue
IN_PROCESS_SECONDS = 0.5  # seconds of trusted work to do in this process before starting others
MAX_SECONDS = 60  # CPU time limit of a task, so that a hostile file cannot occupy a process for hours
MIN_MEMORY = 1 << 30  # bytes that a process may always allocate
# Modules to import once, in the server that forks the processes. gan is excluded: the server does not know this
# process's sys.path, and would import an installed version instead of a checkout.
PRELOADED = ["numpy.random", "filelock", "PIL.ImageCms", "PIL.ImageOps", "PIL.ImageFilter", "PIL.ImageDraw"]
NO_MAIN_GUARD = 'no worker process can be started; in your script, put the code to run below if __name__ == "__main__":'
CRASHED = f"the decoder crashed, took more than {MAX_SECONDS} s or ran out of memory on it"


def parallel_map(
    function: Callable[[Task], Result], tasks: Sequence[Task], on_crash: Callable[[Task], Result], trusted: bool = False
) -> Iterator[list[Result]]:
    """Yield lists of results of `function`, in order. They are computed in other processes, even on one core.

    Args:
        function: it is pickled and sent to each process once, and again after a process has died.
        on_crash: returns the result of a task that kills its process or takes more than MAX_SECONDS.
        trusted: the inputs are trusted, so that this process may also compute while that is faster.
    """
    processes = cores()
    left = deque(tasks)
    started = time.monotonic()
    while trusted and left and (processes == 1 or time.monotonic() - started < IN_PROCESS_SECONDS):
        yield [function(left.popleft())]
    while left:
        sent: deque[list[Task]] = deque()
        with suppress(BrokenProcessPool):
            yield from _pool_results(function, left, sent, processes)
        # The chunk that crashed is nearly always among the first. If it is not, the next pool crashes, too; the chunks
        # before it are done by then, so that it becomes one of the first.
        while len(sent) > SUSPECTS * processes:
            left.extendleft(reversed(sent.pop()))
        with IsolatedProcess() as isolated:
            for task in itertools.chain.from_iterable(sent):
                try:
                    yield [isolated(function, task)]
                except CrashError:
                    yield [on_crash(task)]


def _pool_results(
    function: Callable[[Task], Result], left: deque[Task], sent: deque[list[Task]], processes: int
) -> Iterator[list[Result]]:
    """Yield the results of the tasks `left` in chunks, from a new pool; raise BrokenProcessPool if a process dies.

    Chunks move to `sent` before a process gets them, and leave it when their results were yielded.
    """
    futures: deque[Future[list[Result]]] = deque()
    pool = _executor(min(processes, len(left)), function)
    started, done, size = time.monotonic(), 0, 1
    try:
        while left or sent:
            while left and len(sent) < CHUNKS_AHEAD * processes:
                count = min(size, 1 + len(left) // (2 * processes))  # small at the end, so that all processes work
                sent.append([left.popleft() for _ in range(count)])
                futures.append(_submit(pool, sent[-1]))
            yield futures.popleft().result()
            done += len(sent.popleft())
            rate = processes * done / (time.monotonic() - started)  # tasks a second
            size = max(1, min(MAX_CHUNK, round(CHUNK_SECONDS * rate)))
    finally:
        pool.shutdown(cancel_futures=True)


class CrashError(ImageError):
    """A function has killed its process. It may have read a hostile file."""


class IsolatedProcess:
    """Calls functions in another process, which is restarted if a function kills it.

    Functions, arguments and results are pickled. Exceptions are raised in this process.
    """

    def __init__(self) -> None:
        self.pool: ProcessPoolExecutor | None = None

    def __call__(self, function: Callable[..., Result], *arguments: Any) -> Result:
        """Return the result of the function; raise CrashError if it kills its process."""
        if self.pool is None:
            self.pool = _executor(1, _call)
        try:
            return _submit(self.pool, [(function, arguments)]).result()[0]
        except BrokenProcessPool as error:
            self.close()
            raise CrashError(CRASHED) from error

    def close(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)
            self.pool = None

    def __enter__(self) -> IsolatedProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def _call(task: tuple[Callable[..., Any], tuple[Any, ...]]) -> Any:
    function, arguments = task
    return function(*arguments)


def check_main_guard() -> None:
    """Raise UserError if this is a starting worker process that runs the user's script again.

    Call this before waiting for anything that the parent process may hold, such as a lock.
    """
    if getattr(multiprocessing.current_process(), "_inheriting", False):  # as multiprocessing itself tests it
        raise UserError(NO_MAIN_GUARD)


def cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _executor(count: int, function: Callable[[Any], Any]) -> ProcessPoolExecutor:
    """Return a pool whose processes run; raise UserError if they cannot be started."""
    # not "fork", which would copy locks held by the threads of torch and the progress bar
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    memory = max(MIN_MEMORY, available_memory() // count)
    with safe_path():
        if method == "forkserver":
            from multiprocessing import forkserver, resource_tracker  # not on Windows

            context.set_forkserver_preload(PRELOADED)
            resource_tracker.ensure_running()  # first: it unblocks Ctrl-C when done
            with deferred():  # the server inherits it; otherwise Ctrl-C during its imports prints a traceback
                forkserver.ensure_running()
        pool = ProcessPoolExecutor(count, context, initializer=_init_worker, initargs=(function, memory, MAX_SECONDS))
    try:  # all processes start now: if one crashes while another starts, the pool can wait for that one forever
        for started in [_submit(pool, ()) for _ in range(count)]:
            started.result()
    except BrokenProcessPool as error:
        raise UserError(NO_MAIN_GUARD) from error
    return pool


def _submit(pool: ProcessPoolExecutor, chunk: Sequence[Any]) -> Future[list[Any]]:
    """Send tasks to a pool. Ctrl-C is deferred, because this may start a process, which must receive all its data."""
    try:
        with deferred(), safe_path():
            return pool.submit(_run_chunk, chunk)
    except OSError as error:
        if error.errno not in (None, errno.EBADF):
            raise
        # The pool broke and closed its connections while submit started another process.
        raise BrokenProcessPool(str(error)) from error


_function: Callable[[Any], Any]  # the function of this worker, sent once instead of with each chunk
_seconds: float  # CPU time limit of a task


def _init_worker(function: Callable[[Any], Any], memory: int, seconds: float) -> None:
    global _function, _seconds
    _function, _seconds = function, seconds
    with suppress(ImportError, OSError, ValueError):  # not supported on all systems
        import resource  # limit memory, so that a hostile file raises MemoryError and other programs keep theirs

        resource.setrlimit(resource.RLIMIT_DATA, (memory, resource.getrlimit(resource.RLIMIT_DATA)[1]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the main process ends the workers
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this worker when the main process is killed; otherwise the worker would wait forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _run_chunk(chunk: Sequence[Any]) -> list[Any]:
    results = []
    for task in chunk:
        if hasattr(signal, "setitimer"):  # the system kills this process if the task takes too long; not on Windows
            signal.setitimer(signal.ITIMER_PROF, _seconds)
        results.append(_function(task))
    return results
