"""Before training, end all ranks if their options, versions or images differ."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch.distributed as dist
from lightning import Callback, Trainer

from gan.config.launch import PACKAGES
from gan.config.overrides import is_under
from gan.runs.run_folder import version_of
from gan.training.module import GAN
from gan.utils.errors import UserError
from gan.utils.option_values import flatten

# Options that may depend on the machine, because they do not change the result.
MAY_DIFFER = ("data.num_workers", "trainer.threads")


class Agreement(Callback):
    """Compares options, versions of packages and the list of images over all ranks.

    Without it, ranks with different options would wait for each other for half an hour, or train with other options
    than those in the run folder. On machines that do not share it, `resume` differs, since only rank 0 finds a
    checkpoint. `data=stream` has no list of images to compare.
    """

    def __init__(self, run: Path) -> None:
        self.run = run

    def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:  # type: ignore[override]
        """Raise UserError on all ranks if they differ. The process group and the data exist at this point."""
        if trainer.world_size == 1:
            return
        fingerprint = getattr(trainer.datamodule, "fingerprint", "")  # type: ignore[attr-defined]
        options = {"hydra.run.dir": str(self.run)} | flatten(pl_module.config)
        start = {name: value for name, value in options.items() if not is_under(name, MAY_DIFFER)}
        start |= {f"version of {name}": version_of(name) for name in PACKAGES} | {"list of images": fingerprint[:8]}
        starts: list[Any] = [None] * trainer.world_size
        dist.all_gather_object(starts, start)
        if names := differing(starts):
            shown = ", ".join(names[:3])
            raise UserError(f"the ranks differ in {shown}; start all with the same options, versions and images")


def differing(starts: Sequence[dict[str, Any]]) -> list[str]:
    names = dict.fromkeys(name for start in starts for name in start)
    return [name for name in names if any(start.get(name) != starts[0].get(name) for start in starts)]
