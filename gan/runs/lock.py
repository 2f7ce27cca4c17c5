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
from pathlib import Path
from typing import Any

from filelock import SoftFileLease, Timeout

from gan.runs import checkpoints, run_folder
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


class _Held:
    """The lock that this process holds. A process holds at most one."""

    lease: SoftFileLease | None = None
    run: Path | None = None


def acquire(run: Path) -> None:
    """Lock a run folder on rank 0, and release the previous lock. Other ranks share the lock.

    If the folder is in use, wait if a scheduler started this process, which may restart a job while its previous
    process is still ending, or if the other process is on another machine. Otherwise raise UserError.
    """
    if is_child() or global_rank() != 0 or (_Held.lease is not None and run.resolve() == _Held.run):
        return
    release()
    run_folder.refuse_links(run)
    path = run / run_folder.LOCK
    lease = SoftFileLease(
        path, lease_duration=LEASE, heartbeat_interval=HEARTBEAT, on_compromise=_stop, thread_local=False
    )
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
    _Held.lease, _Held.run = lease, run.resolve()


def in_use(run: Path, holder: Any) -> str:
    """Return a message with the process that holds the lock."""
    who = "another process" if holder is None else f"process {holder.pid} on {holder.hostname.partition('?')[0]}"
    return f"{run}: {who} is training in this folder; stop it first, or use another folder with hydra.run.dir="


def is_held(run: Path) -> bool:
    """Return whether a process is training into a folder, without changing anything.

    A lock of another machine counts until LEASE seconds after its last heartbeat.
    """
    path = run / run_folder.LOCK
    try:
        owner, age = SoftFileLease(path).owner, time.time() - path.stat().st_mtime
    except OSError:
        return False
    if owner is not None and owner.hostname == _own_host() and hasattr(os, "fork"):
        return is_alive(owner.pid)
    return age < LEASE


def _own_host() -> str | None:
    """Return the host name to write into locks. Each container has its own name, as it has its own process numbers."""
    with tempfile.TemporaryDirectory() as folder, SoftFileLease(Path(folder, "probe")) as probe:
        return probe.owner and probe.owner.hostname


def release() -> None:
    """Release the lock, if this process holds one."""
    if _Held.lease is not None:
        with suppress(OSError):
            (Path(_Held.lease.lock_file).parent / run_folder.DECISION).unlink(missing_ok=True)
        with suppress(OSError):
            _Held.lease.release()
        _Held.lease = _Held.run = None


def is_lost(run: Path) -> bool:
    """Return whether this process has lost the lock of a run folder, because the folder was removed or taken over."""
    return _Held.lease is not None and run.resolve() == _Held.run and not _Held.lease.is_lock_held_by_us


def _stop(_: object) -> None:
    """Stop training at the next batch. Called in the heartbeat's thread; `is_lost` then prevents saving."""
    print_line(f"{_Held.run}: {LOST}", all_ranks=True)
    signal.raise_signal(signal.SIGTERM)


atexit.register(release)


# ---- removal of the folder of a command that fails before its first training step; what it held is kept

SWEEP = "sweep.yaml"  # the record of a sweep, in the folder that contains the folders of its jobs
# All that a run may contain before its first checkpoint, and a sweep before its first job, as patterns; also what an
# interrupted write leaves. images-000000000.ckpt is that of a translator before training.
WRITTEN = f"""
    {run_folder.CONFIG} {run_folder.OVERRIDES} {run_folder.ENVIRONMENT} {run_folder.METRICS} {run_folder.METRICS_CSV}
    {run_folder.EVALUATION} {run_folder.LOGGERS} {run_folder.DECISION} {run_folder.REMOTE} hparams.yaml
    events.out.tfevents.* {run_folder.SAMPLES}/reals.png {run_folder.SAMPLES}/{"[0-9]" * 9}*.png
    checkpoints/images-000000000.ckpt checkpoints/images-*.json
    .*.tmp samples/.*.tmp checkpoints/.*.tmp
    wandb/run-* wandb/offline-run-* wandb/latest-run wandb/debug*.log wandb/settings
    {SWEEP} multirun.yaml {run_folder.RESULTS} {run_folder.ROWS}/*.json
""".split()
WRITTEN_FOLDERS = (run_folder.SAMPLES, run_folder.CHECKPOINTS, run_folder.ROWS, "wandb")
_new: list[Path] = []  # folders that this process has created, and has not trained into
_jobs: list[Path] = []  # folders of jobs of a sweep, like _new


def make(folder: Path, exist_ok: bool = True) -> None:
    """Create a folder and its parents, and remember those that are new."""
    folder = folder.absolute()
    missing = [path for path in (folder, *folder.parents) if not path.exists()]
    folder.mkdir(parents=True, exist_ok=exist_ok)
    _new.extend(reversed(missing))


def start_job(folder: Path) -> None:
    """Remember the folder of a job, which Hydra has just created in the folder of a sweep, if it is empty.

    Remove the folder of the previous job if that failed before its first training step.
    """
    release()  # the lock of the previous job
    clear(_jobs)
    if not any(folder.iterdir()):
        _jobs.append(folder.absolute())


def trained() -> None:
    """Keep all folders, because a training step has been completed."""
    _new.clear()
    _jobs.clear()


@contextmanager
def removed_unless_trained() -> Iterator[None]:
    """Remove the folders at an exception before the first training step, also at Ctrl-C and SIGTERM."""
    processes.before_end = remove
    try:
        yield
    except BaseException:
        remove()
        raise
    finally:
        clear(_jobs)  # Hydra may go on after a job has failed
        trained()


def remove() -> None:
    """Release the lock, and remove the folders in which no training step has been completed."""
    for folders in (_jobs, _new):
        folders[:] = [folder for folder in folders if not is_lost(folder)]  # not those that another process uses
    release()
    clear(_jobs)
    clear(_new)


def clear(folders: list[Path]) -> None:
    """Remove folders, from the last to the first, unless one has a checkpoint or another process trains into it.

    The checkpoint of a translator before training does not count.
    """
    while folders:
        folder = folders.pop()
        saved = {*checkpoints.list_checkpoints(folder)} - {checkpoints.checkpoint_path(folder, 0)}
        if saved or (folder / run_folder.LOCK).exists():
            continue
        with suppress(OSError):
            if any((folder / name).exists() for name in (*run_folder.RECORD, SWEEP, run_folder.REMOTE)):
                empty(folder)
            folder.rmdir()  # fails if another command has written to it


def empty(run: Path) -> None:
    """Remove the files that this program writes into a run folder. Other files, and folders with them, are kept."""
    for pattern in WRITTEN:
        for path in run.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path, ignore_errors=True)  # of W&B
            else:
                path.unlink()
    for name in WRITTEN_FOLDERS:
        with suppress(OSError):  # it does not exist or is not empty
            (run / name).rmdir()
