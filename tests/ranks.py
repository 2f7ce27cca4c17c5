"""Script of test_ddp.py: train networks without BatchNorm on several ranks, and save the batches of each rank.

python -m tests.ranks FOLDER RANKS N_CRITIC MICRO_BATCH [FIRST LAST]

With FIRST and LAST, it resumes from FOLDER/FIRST.ckpt and writes FOLDER/LAST.ckpt. Both are numbers of batches.
"""

import sys
from pathlib import Path
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor, nn
from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

from gan.augment.ada import Adaptive
from gan.augment.apa import APA
from gan.augment.diffaugment import DiffAugment
from gan.contracts import Step
from gan.data.module import ImageDataModule
from gan.losses.nonsaturating import Nonsaturating
from gan.penalties.r1 import R1
from gan.training.trainer import DDPPerNetwork  # noqa: F401  (registers DDP)
from gan.utils.processes import DDP
from tests.training.test_module import BATCH, fit, r3gan_model


class SquaredLogits(nn.Module):
    """A lazy penalty that has a weight."""

    network = "discriminator"
    interval = 2

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.ones(1))

    def forward(self, step: Step) -> Tensor:
        return (self.gain * step.real_logits).square().mean()


class Record(Callback):
    def __init__(self) -> None:
        self.images: list[Tensor] = []
        self.latents: list[Tensor] = []
        self.reduced: list[int] = []

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        for reducer in getattr(trainer.strategy, "reducers", ()):
            reducer.register_comm_hook(None, self.count)

    def count(self, state: Any, bucket: torch.distributed.GradBucket) -> torch.futures.Future[Tensor]:
        """Count the numbers that the ranks reduce."""
        self.reduced[-1] += bucket.buffer().numel()
        return allreduce_hook(None, bucket)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.reduced.append(0)
        self.images.append(batch["image"].clone())
        self.latents.append(pl_module.latents(batch_idx, "discriminator"))


def main(out: Path, ranks: int, n_critic: int, micro_batch: int, first: int = 0, last: int = 6) -> None:
    augment = APA(Adaptive(DiffAugment(["translation", "cutout"]), target=-1.0, adjustment_images=24, interval=2))
    module = r3gan_model(
        Nonsaturating(),
        0.01,
        n_critic=n_critic,
        micro_batch=micro_batch or None,
        penalties={"r1": R1(weight=0.1, interval=2), "squared_logits": SquaredLogits()},
        augment=Adaptive(augment, target=-1.0, adjustment_images=24, interval=2),
    )
    record = Record()
    options: dict[str, Any] = {"devices": ranks, "strategy": DDP} if ranks > 1 else {}
    options |= {"resume": out / f"{first}.ckpt"} if first else {}
    data = ImageDataModule(size=16, num_images=20, batch_size=BATCH)
    trainer = fit(module, last, record, data=data, save=out / f"{last}.ckpt", **options)
    content = {
        "state": module.state_dict(),
        "images": torch.stack(record.images),
        "latents": torch.stack(record.latents),
        "reduced": record.reduced,
    }
    torch.save(content, out / f"{ranks}-{last}-{trainer.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
