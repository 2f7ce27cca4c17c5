"""Information about this process in a distributed run, from the environment, before Lightning starts. No torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager


def is_child() -> bool:
    """Return whether Lightning started this process as an additional rank. Its parent has prepared the run."""
    return "LOCAL_RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ and "RANK" not in os.environ


def global_rank() -> int:
    """Return the rank of this process under torchrun, SLURM or Lightning; 0 without any of them."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return int(next((rank for rank in ranks if rank), 0))


def started_externally() -> bool:
    """Return whether torchrun or SLURM has started several processes, possibly with one device each."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1 or int(os.environ.get("SLURM_NTASKS", 1)) > 1


def num_external_ranks() -> int:
    """Return the number of processes that torchrun or SLURM has started for this run."""
    return int(os.environ.get("WORLD_SIZE", os.environ.get("SLURM_NTASKS", 1)))


@contextmanager
def safe_path() -> Iterator[None]:
    """A context in which new Python processes do not import from the current folder, unless this process does.

    A user's folder may contain files such as random.py.
    """
    if "" in sys.path or "PYTHONSAFEPATH" in os.environ:
        yield
        return
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        os.environ.pop("PYTHONSAFEPATH", None)
