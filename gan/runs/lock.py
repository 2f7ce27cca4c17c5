"""The lock of a run folder, so that only one process at a time trains into it. No torch: locking must be fast.

The lock is a file with host, process, start time and heartbeat (filelock's SoftFileLease). If its process has died on
this machine, the lock is taken over at once; if it is on another machine, after LEASE seconds without a heartbeat.
"""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from filelock import SoftFileLease, Timeout

from gan.runs import run_folder
from gan.utils import processes
from gan.utils.errors import UserError
from gan.utils.files import is_alive
from gan.utils.output import print_line
from gan.utils.processes import global_rank, is_child

LEASE = 120.0  # seconds without a heartbeat after which the lock of another machine expires
HEARTBEAT = 15.0  # seconds between two heartbeats
POLL = 0.2  # seconds
FIRST_TRY = 1.0  # seconds to wait for the lock at first; enough to find out that its process is dead
LOST = "this folder was removed or moved, or another process has taken it over; writing to it has stopped"
SCHEDULED = ("SLURM_JOB_ID", "TORCHELASTIC_RUN_ID", "LSB_JOBID", "PBS_JOBID")  # set by schedulers that restart jobs


# The locks that this process holds, by folder: that of a run, and in a sweep also that of the sweep's folder around it.
_held: dict[Path, SoftFileLease] = {}


def acquire(run: Path) -> None:
    """Lock a run folder on rank 0, and release other locks, except that of a sweep around it. Other ranks share locks.

    If the folder is in use, wait if a scheduler started this process, which may restart a job while its previous
    process is still ending, or if the other process is on another machine. Otherwise raise UserError.
    """
    folder = run.resolve()
    if is_child() or global_rank() != 0 or folder in _held:
        return
    release(around=folder)
    run_folder.refuse_links(run)
    lease = SoftFileLease(
        run / run_folder.LOCK, lease_duration=LEASE, heartbeat_interval=HEARTBEAT, thread_local=False,
        on_compromise=lambda _: _stop(folder),
    )  # fmt: skip
    try:
        try:
            lease.acquire(timeout=FIRST_TRY, poll_interval=POLL)
        except Timeout:
            holder = lease.owner
            elsewhere = holder is not None and holder.hostname != _own_host()
            if not elsewhere and not any(name in os.environ for name in SCHEDULED):
                raise UserError(in_use(run, holder)) from None
            print_line(f"{in_use(run, holder)}; waiting up to {LEASE + HEARTBEAT:.0f} s for it to end")
            try:
                lease.acquire(timeout=LEASE + HEARTBEAT, poll_interval=POLL)
            except Timeout:
                raise UserError(in_use(run, lease.owner)) from None
    except OSError as error:
        raise UserError(f"{run}: cannot be written ({error.strerror or error})") from error
    _held[folder] = lease


def in_use(run: Path, holder: Any) -> str:
    who = "another process" if holder is None else f"process {holder.pid} on {holder.hostname.partition('?')[0]}"
    option = "hydra.sweep.dir" if (run / SWEEP).exists() else "hydra.run.dir"
    return f"{run}: {who} is training in this folder; stop it first, or use another folder with {option}="


def is_held(run: Path) -> bool:
    """Return whether a process is training into a folder, without changing anything.

    A lock counts until LEASE seconds after its last heartbeat; one of this machine only while its process is alive.
    """
    path = run / run_folder.LOCK
    try:
        owner, age = SoftFileLease(path).owner, time.time() - path.stat().st_mtime
    except OSError:
        return False
    if owner is not None and owner.hostname == _own_host() and not is_alive(owner.pid):
        return False
    return age < LEASE


def _own_host() -> str | None:
    """Return the host name to write into locks. Each container has its own name, as it has its own process numbers."""
    with tempfile.TemporaryDirectory() as folder, SoftFileLease(Path(folder, "probe")) as probe:
        return probe.owner and probe.owner.hostname


def release(around: Path | None = None) -> None:
    """Release the locks that this process holds, except those of folders `around` a path."""
    for folder in [folder for folder in _held if around is None or folder not in around.parents]:
        lease = _held.pop(folder)
        with suppress(OSError):
            (Path(lease.lock_file).parent / run_folder.DECISION).unlink(missing_ok=True)
        with suppress(OSError):
            lease.release()


def is_lost(run: Path) -> bool:
    """Return whether this process has lost the lock of a run folder, because the folder was removed or taken over."""
    lease = _held.get(run.resolve())
    return lease is not None and not lease.is_lock_held_by_us


def _stop(folder: Path) -> None:
    """Stop training at the next batch. Called in the heartbeat's thread; `is_lost` then prevents saving."""
    print_line(f"{folder}: {LOST}", all_ranks=True)
    signal.raise_signal(signal.SIGTERM)


atexit.register(release)


# ---- removal of the folder of a command that fails before its first training step

SWEEP = "sweep.yaml"  # the record of a sweep, in the folder that contains the folders of its jobs
# Patterns of what a run writes before its first training step, and a sweep before its first job.
EARLY = (
    *run_folder.RECORD, run_folder.DECISION, run_folder.REMOTE, run_folder.METRICS, run_folder.METRICS_CSV,
    run_folder.LOGGERS, "events.out.tfevents.*", run_folder.SAMPLES, f"{run_folder.SAMPLES}/reals.png", SWEEP,
    "multirun.yaml",
)  # fmt: skip
_new: list[Path] = []  # folders that this process has created, and has not trained into


def make(folder: Path, exist_ok: bool = True) -> None:
    folder = folder.absolute()
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=exist_ok)
    _new.extend(reversed(missing))


def trained() -> None:
    """Keep all folders, because a training step has been completed."""
    _new.clear()


@contextmanager
def removed_unless_trained() -> Iterator[None]:
    """Remove the new folders at an exception before the first training step, also at Ctrl-C and SIGTERM."""
    processes.before_end = remove
    try:
        yield
    except BaseException:
        remove()
        raise
    finally:
        trained()


def remove() -> None:
    """Release the lock, and remove the new folders that contain nothing but files of EARLY.

    A folder with any other file is kept as it is: the file may be the user's, or the lock of another process.
    """
    _new[:] = [folder for folder in _new if not is_lost(folder)]  # not one that another process has taken over
    release()
    while _new:
        folder = _new.pop()
        with suppress(OSError):
            names = [path.relative_to(folder).as_posix() for path in folder.rglob("*")]
            if not names:
                folder.rmdir()
            elif all(any(fnmatch(name, pattern) for pattern in EARLY) for name in names):
                shutil.rmtree(folder)
