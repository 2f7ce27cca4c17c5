"""Information about this process in a distributed run, from the environment, before Lightning starts. No torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gan.common.errors import UserError, at_least

DDP = "ddp_per_network"  # name of gan.training.trainer.DDPPerNetwork
PER_CORE = 4  # processes; more of them only take memory, and a run folder from someone else may ask for thousands
FEW = 64  # processes that load data, which any machine may start


def check_workers(value: object) -> int:
    """Return data.num_workers if it is an integer from 0 to max(FEW, PER_CORE x cores); otherwise raise UserError."""
    workers, limit = at_least("data.num_workers", value, 0), max(FEW, PER_CORE * (os.cpu_count() or 1))
    if workers > limit:
        raise UserError(f"data.num_workers={workers}: is too large for this machine; use at most {limit}")
    return workers


def check_cpu_devices(count: int) -> None:
    """Raise UserError if a run on the CPU asks for more processes than PER_CORE x cores."""
    limit = PER_CORE * (os.cpu_count() or 1)
    if count > limit:
        raise UserError(f"trainer.devices={count}: is too large for the CPU of this machine; use at most {limit}")


def is_child() -> bool:
    """Return whether Lightning started this process as an additional rank. Its parent has prepared the run."""
    return "LOCAL_RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ and "RANK" not in os.environ


def global_rank() -> int:
    """Return the rank of this process under torchrun, SLURM or Lightning; 0 without any of them."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return int(next((rank for rank in ranks if rank), 0))


def started_externally() -> bool:
    """Return whether torchrun or SLURM has started several processes, possibly with one device each."""
    return int(os.environ.get("WORLD_SIZE") or 1) > 1 or int(os.environ.get("SLURM_NTASKS") or 1) > 1


def num_external_ranks() -> int:
    """Return the number of processes that torchrun or SLURM has started for this run."""
    return int(os.environ.get("WORLD_SIZE") or os.environ.get("SLURM_NTASKS") or 1)


@contextmanager
def safe_path() -> Iterator[None]:
    """A context in which new Python processes do not import from the current folder, unless this process does.

    A folder of images may contain files such as random.py. The commands are in this context from start to end, and
    functions that users import while they start processes, because it also changes processes that users start.
    """
    if "" in sys.path or "PYTHONSAFEPATH" in os.environ:
        yield
        return
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        os.environ.pop("PYTHONSAFEPATH", None)
