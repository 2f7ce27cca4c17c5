"""Requeue the SLURM job of this process when SLURM signals that its time limit is near. No torch.

hold()       blocks the signal before and after training, so that it does not end the process
release()    delivers the signal to its handler, also if it arrived while it was blocked
requeue()    requeues the job; `resume=auto` then continues the run
"""

from __future__ import annotations

import os
import signal
import subprocess

SIGNAL: int | None = getattr(signal, "SIGUSR1", None)  # that of `sbatch --signal=USR1@120`; not on Windows
JOB = "SLURM_JOB_ID"


def signals() -> tuple[int, ...]:
    """Return the signal after which a run saves a checkpoint and requeues its job; empty outside a SLURM job."""
    return (SIGNAL,) if SIGNAL is not None and JOB in os.environ else ()


def hold() -> None:
    """Block the signal."""
    if signals():
        signal.pthread_sigmask(signal.SIG_BLOCK, signals())


def release() -> None:
    """Unblock the signal, and deliver it to the current handler."""
    if signals():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, signals())


def requeue() -> str:
    """Requeue the job, and return a line that describes the result."""
    job = os.environ[JOB]
    try:
        subprocess.run(["scontrol", "requeue", job], check=True, capture_output=True, text=True, timeout=60)
    except subprocess.CalledProcessError as error:
        return f"scontrol requeue {job}: {(error.stderr or error.stdout).strip() or 'failed'}"
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"scontrol requeue {job}: {error}"
    return f"SLURM job {job} is requeued and continues this run"
