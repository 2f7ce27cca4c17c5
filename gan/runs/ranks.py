"""End a distributed run when one of its processes is lost, and requeue a job of SLURM. No torch at import."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from gan.runs import checkpoints, lock
from gan.utils import processes
from gan.utils.errors import UserError
from gan.utils.output import print_error

if TYPE_CHECKING:
    from lightning import Trainer

PERIOD = 1.0  # seconds between two checks of the child processes
GRACE = 5.0  # seconds to wait for the main thread to detect a lost process itself
PARENT = "RETRO_GAN_PARENT"  # variable with the number of the process that starts other ranks; not set by a thread
UNANSWERED = 10.0  # end the run if the main thread has not handled a signal after this many seconds


def is_rank_lost(error: Exception) -> bool:
    is_dist = any(kind.__name__ == "DistError" for kind in type(error).__mro__)  # of torch.distributed
    return is_dist or (isinstance(error, RuntimeError) and "/gloo/" in str(error))


def rank_lost(run: Path) -> UserError:
    how = checkpoints.how_to_continue(run)
    return UserError(f"another process of this run has died or does not answer; {how}")


def watch_children(trainer: Trainer) -> None:
    """End the run with a message if a child process fails.

    This replaces Lightning's observer, which kills all processes without a message. The observer watches the original
    list `procs` and ends when that list is empty.
    """
    launcher = trainer.strategy.launcher
    children = children_of(trainer)
    if children:
        observed = launcher.procs  # type: ignore[union-attr]
        launcher.procs = children  # type: ignore[union-attr]
        observed.clear()
        threading.Thread(target=_watch, args=(trainer, children), daemon=True).start()


def _watch(trainer: Trainer, children: list[subprocess.Popen[bytes]]) -> None:
    while any(child.poll() is None for child in children) and not any(child.returncode for child in children):
        time.sleep(PERIOD)
    if any(child.returncode for child in children):
        time.sleep(GRACE)  # no exception reaches the main thread inside a collective
        end_processes(trainer, 2)


def kill_children(trainer: Trainer) -> None:
    """Kill the ranks that this process has started; those that wait in a collective or are stopped, too."""
    for process in children_of(trainer):
        process.kill()


def children_of(trainer: Trainer) -> list[subprocess.Popen[bytes]]:
    return list(getattr(trainer.strategy.launcher, "procs", ()))


def end_processes(trainer: Trainer, code: int) -> None:
    """Kill the child processes, print the error, and exit.

    Other ways to exit may never end: a destructor of gloo waits for its threads, and they wait for Python's lock.
    """
    kill_children(trainer)
    print_error(str(rank_lost(Path(trainer.default_root_dir))))
    lock.remove()
    os._exit(code)


class SignalWatchdog:
    """Ends a run at SIGINT, SIGTERM or SIGHUP, or without its parent, if the main thread does not do so in time.

    Python runs signal handlers between two bytecode instructions. A collective that waits for a stopped rank or a lost
    machine is one instruction and takes half an hour. So is the wait for all ranks before the first collective.
    """

    def __init__(self, trainer: Trainer) -> None:
        self.trainer = trainer
        self.closed = False
        self.handled = 0  # number of signals handled; the handler increments it
        self.reading, self.writing = socket.socketpair()  # Windows cannot make a pipe non-blocking
        self.writing.setblocking(False)
        self.before = signal.set_wakeup_fd(self.writing.fileno(), warn_on_full_buffer=False)
        threading.Thread(target=self.listen, daemon=True).start()
        if processes.is_child() and PARENT in os.environ:
            threading.Thread(target=self.watch_parent, daemon=True).start()
        else:
            os.environ[PARENT] = str(os.getpid())

    def listen(self) -> None:
        arrived = 0
        with self.reading:
            while number := self.reading.recv(1):
                if number[0] not in (signal.SIGINT, *processes.TERMINATION):
                    continue
                arrived += 1
                time.sleep(UNANSWERED)
                if self.handled < arrived and not self.closed:
                    end_processes(self.trainer, 128 + number[0])

    def watch_parent(self) -> None:
        while str(os.getppid()) == os.environ.get(PARENT):  # a parent may have died before this process got here
            time.sleep(PERIOD)
        time.sleep(GRACE)
        if not self.closed:
            end_processes(self.trainer, 2)

    def close(self) -> None:
        self.closed = True
        signal.set_wakeup_fd(self.before)
        self.writing.close()  # ends the thread


# ---- SLURM's signal that the time limit is near

SIGNAL: int | None = getattr(signal, "SIGUSR1", None)  # that of `sbatch --signal=USR1@120`; not on Windows
JOB = "SLURM_JOB_ID"


def slurm_signals() -> tuple[int, ...]:
    """Return the signal after which a run saves a checkpoint and requeues its job; empty outside a SLURM job."""
    return (SIGNAL,) if SIGNAL is not None and JOB in os.environ else ()


def hold_slurm_signal() -> None:
    """Block the signal before and after training, so that it does not end the process."""
    if slurm_signals():
        signal.pthread_sigmask(signal.SIG_BLOCK, slurm_signals())


def release_slurm_signal() -> None:
    """Deliver the signal to the current handler, also if it arrived while it was blocked."""
    if slurm_signals():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, slurm_signals())


def requeue() -> str:
    """Requeue the job, which `resume=auto` continues, and return a line that describes the result."""
    job = os.environ[JOB]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        return f"scontrol requeue {job}: {str(getattr(error, 'stderr', None) or error).strip()}"
    return f"SLURM job {job} is requeued and continues this run"
