"""Before training, end all ranks if their options, versions or images differ, or they do not share the run folder."""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from lightning import Callback, Trainer

from gan.common.digest import of_file
from gan.common.errors import UserError
from gan.common.nested import flatten
from gan.common.output import first_few, shortened
from gan.run import run_folder
from gan.run.launch import PACKAGES, version_of
from gan.run.overrides import is_under, key_of
from gan.training.module import GAN

# Options that may depend on the machine, because they do not change the result; `resume` is compared separately.
MAY_DIFFER = ("data.num_workers", "trainer.threads", "resume")
REMEDIES = {
    "options": "start all ranks with the same options",
    "computed": "set these options, so that they do not depend on the machine",
    "versions": "install the same versions on all machines",
    "images": "give all machines the same images",
}
VISIBLE = 60.0  # seconds until a network disk shows a new file on all machines
POLL = 1.0  # seconds
MAX_LISTED, MAX_VALUE = 3, 200  # differences in a message, and characters of a value

Start = dict[str, dict[str, Any]]  # options, versions and images of a rank, by the names in REMEDIES


class Agreement(Callback):
    """Compares options, versions of packages, the list of images and the record in the run folder over all ranks.

    Without it, ranks with different options would wait for each other for half an hour, or train with other options
    than those in the run folder. `data=stream` has no list of images to compare.

    Args:
        run: the run folder.
        typed: overrides of the command line.
    """

    def __init__(self, run: Path, typed: Sequence[str]) -> None:
        self.run = run
        self.typed = typed

    def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:  # type: ignore[override]
        """Raise UserError on all ranks if they differ. The process group and the data exist at this point."""
        if trainer.world_size == 1:
            return
        record = self.run / run_folder.ENVIRONMENT  # rank 0 has added a line with the time of this start
        fingerprint = getattr(trainer.datamodule, "fingerprint", "")  # type: ignore[attr-defined]
        words = [f"hydra.run.dir={self.run}", *self.typed]
        starts = over_all_ranks(start_of(words, flatten(pl_module.config), fingerprint))
        if found := describe_difference(starts):
            raise UserError(found)
        resume = pl_module.config.get("resume")
        written, chosen = over_all_ranks((digest_of(record), resume))[0]
        views = over_all_ranks((socket.gethostname(), wait_for(record, written) and resume == chosen))
        for rank, (host, same) in enumerate(views):
            if not same:
                raise UserError(
                    f"{self.run}: rank {rank} on {host} does not see what rank 0 on {views[0][0]} writes there; "
                    "use a run folder that all machines share"
                )


def start_of(typed: Sequence[str], config: dict[str, Any], fingerprint: str) -> Start:
    """Return the options, versions and images of a rank.

    Args:
        typed: overrides. A difference in one of them often causes many in the configuration.
        config: the resolved configuration, with dotted names.
        fingerprint: of the list of images.
    """
    words = {key_of(word): word.partition("=")[2] for word in typed}
    return {
        "options": {key: value for key, value in words.items() if not is_under(key, MAY_DIFFER)},
        "computed": {key: value for key, value in config.items() if not is_under(key, MAY_DIFFER)},
        "versions": {name: version_of(name) for name in PACKAGES},
        "images": {"list of images": fingerprint[:8]},
    }


def describe_difference(starts: Sequence[Start]) -> str | None:
    """Return a line about the first rank that differs from rank 0; None if all ranks are equal.

    For example `rank 1 has data.batch_size=32, rank 0 has 16; start all ranks with the same options`.
    """
    for rank, start in enumerate(starts):
        for name, remedy in REMEDIES.items():
            first, other = starts[0][name], start[name]
            keys = [key for key in {**first, **other} if first.get(key) != other.get(key)]
            if keys:
                pairs = [f"{key}={shown(other, key)}, rank 0 has {shown(first, key)}" for key in keys]
                return f"rank {rank} has {first_few(pairs, MAX_LISTED, '; ')}; {remedy}"
    return None


def shown(values: dict[str, Any], key: str) -> str:
    value = values.get(key, "(not set)")
    return shortened("null" if value is None else str(value), MAX_VALUE)


def digest_of(path: Path) -> str:
    """Return the digest of a file; "" if it cannot be read."""
    try:
        return of_file(path)
    except OSError:
        return ""


def wait_for(path: Path, digest: str) -> bool:
    """Wait until a file has a digest, and return whether it has."""
    end = time.monotonic() + VISIBLE
    while not (same := digest_of(path) == digest) and time.monotonic() < end:
        time.sleep(POLL)
    return same


def over_all_ranks(value: Any) -> list[Any]:
    """Return the values of all ranks."""
    gathered: list[Any] = [None] * dist.get_world_size()
    dist.all_gather_object(gathered, value)
    return gathered
