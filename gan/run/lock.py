"""One process at a time trains into a run folder. No torch, since the lock is taken before anything is imported.

The lock is a file with host, process, its start time and a heartbeat (filelock's SoftFileLease). It is taken over at
once from a process of this machine that is dead, and from another machine after LEASE seconds without a heartbeat.
"""

from __future__ import annotations

import atexit
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from filelock import SoftFileLease, Timeout

from gan.common.errors import UserError
from gan.common.files import write_json
from gan.common.untrusted import read_json
from gan.run import run_folder
from gan.run.config import global_rank, is_child, say

LEASE = 120.0  # seconds without a heartbeat after which the lock of another machine is void
BEAT = 15.0  # seconds from one heartbeat to the next
POLL = 0.2  # seconds
DECISION = 300.0  # seconds that other ranks wait for rank 0 to decide
AT_ONCE = 1.0  # seconds, which are enough to find that a holder is dead
GONE = "this folder was removed or moved, or another process has taken it over: nothing more is written into it"
SCHEDULED = ("SLURM_JOB_ID", "TORCHELASTIC_RUN_ID", "LSB_JOBID", "PBS_JOBID")  # set by who starts jobs again


class _Held:
    """The lock of this process, which trains into one folder at a time."""

    lease: SoftFileLease | None = None
    run: Path | None = None


def hold(run: Path) -> None:
    """Take the lock of a run folder for rank 0, and release the one held before; further ranks share it.

    Under a scheduler, which may start a job again while the one before is ending, and for a holder on another machine
    it waits; else a folder that is in use is refused.

    Raises:
        UserError: another process trains into the folder, or it cannot be written, or holds links in place of files.
    """
    if is_child() or global_rank() != 0 or (_Held.lease is not None and run.resolve() == _Held.run):
        return
    release()
    run_folder.refuse_links(run)
    path = run / run_folder.LOCK
    lease = SoftFileLease(path, lease_duration=LEASE, heartbeat_interval=BEAT, on_compromise=_lost, thread_local=False)
    try:
        try:
            lease.acquire(timeout=AT_ONCE, poll_interval=POLL)
        except Timeout:
            holder = lease.owner
            elsewhere = holder is not None and holder.hostname != _own_host()
            if not elsewhere and not any(name in os.environ for name in SCHEDULED):
                raise UserError(in_use(run, holder)) from None
            say(f"{in_use(run, holder)}; waiting up to {LEASE + BEAT:.0f} s for it to end")
            try:
                lease.acquire(timeout=LEASE + BEAT, poll_interval=POLL)
            except Timeout:
                raise UserError(in_use(run, lease.owner)) from None
    except OSError as error:
        raise UserError(f"{run}: cannot be written ({error.strerror or error})") from error
    _Held.lease, _Held.run = lease, run.resolve()


def in_use(run: Path, holder: Any) -> str:
    who = "another process" if holder is None else f"process {holder.pid} on {holder.hostname.partition('?')[0]}"
    return f"{run}: {who} trains into this folder; stop it first, or take another folder with hydra.run.dir="


def _own_host() -> str | None:
    """What a lock of this process calls its machine, or its container, whose process numbers are its own."""
    with tempfile.TemporaryDirectory() as folder, SoftFileLease(Path(folder, "probe")) as probe:
        return probe.owner and probe.owner.hostname


def release() -> None:
    """Give the lock back, if this process has one."""
    if _Held.lease is not None:
        with suppress(OSError):
            (Path(_Held.lease.lock_file).parent / run_folder.DECISION).unlink(missing_ok=True)
        with suppress(OSError):
            _Held.lease.release()
        _Held.lease = _Held.run = None


def lost(run: Path) -> bool:
    """Whether this process had the lock of a run folder and has it no more: the folder was removed, or taken over."""
    return _Held.lease is not None and run.resolve() == _Held.run and not _Held.lease.is_lock_held_by_us


def _lost(_: object) -> None:
    """In the heartbeat's thread: let training stop at the next batch; whatever it would save, `lost` forbids."""
    print(f"{_Held.run}: {GONE}", flush=True)
    signal.raise_signal(signal.SIGTERM)


atexit.register(release)


def agreed(run: Path, decide: Callable[[], Path | None]) -> Path | None:
    """What rank 0 decides to go on from, on all ranks that torchrun or SLURM has started.

    Raises:
        UserError: rank 0 has not decided in time.
    """
    job, record = job_name(), run / run_folder.DECISION
    if job is None or is_child():
        return decide()
    if global_rank() == 0:
        chosen = decide()
        write_json(record, {"job": job, "checkpoint": chosen and str(chosen)})
        return chosen
    end = time.monotonic() + DECISION + LEASE
    while time.monotonic() < end:
        with suppress(OSError, ValueError, KeyError, TypeError):
            found = read_json(record)
            if found["job"] == job:
                return Path(found["checkpoint"]) if found["checkpoint"] else None
        time.sleep(POLL)
    raise UserError(f"{run}: rank 0 has not said where to go on; do all machines see this folder?")


def job_name() -> str | None:
    """What tells this start of several ranks from others; None for a process by itself."""
    if int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", 1))) == 1:
        return None
    names = ("MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID", "TORCHELASTIC_RESTART_COUNT",
             "SLURM_JOB_ID", "SLURM_STEP_ID", "SLURM_RESTART_COUNT")  # fmt: skip
    return json.dumps([os.environ.get(name) for name in names])
