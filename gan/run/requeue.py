"""Requeue the SLURM job of this process when SLURM signals that its time limit is near. No torch.

hold()       the signal waits, instead of ending the process: before and after training
release()    the signal reaches its handler, also one that waited
requeue()    the job starts again, and `resume=auto` continues the run
"""

from __future__ import annotations

import os
import signal
import subprocess

SIGNAL: int | None = getattr(signal, "SIGUSR1", None)  # that of `sbatch --signal=USR1@120`; not on Windows
JOB = "SLURM_JOB_ID"


def signals() -> tuple[int, ...]:
    """Return the signal at which a run saves and its job is requeued; none outside a job of SLURM."""
    return (SIGNAL,) if SIGNAL is not None and JOB in os.environ else ()


def hold() -> None:
    """Let the signal wait."""
    if signals():
        signal.pthread_sigmask(signal.SIG_BLOCK, signals())


def release() -> None:
    """Deliver the signal, to the handler that is set now."""
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
