"""Script of test_ddp.py: train networks without BatchNorm on several ranks, and save the batches of each rank.

python tests/ranks.py FOLDER RANKS N_CRITIC MICRO_BATCH [FIRST LAST]

With FIRST and LAST, it resumes from FOLDER/FIRST.ckpt and writes FOLDER/LAST.ckpt. Both are numbers of batches.
"""

import functools
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
from gan.training.module import GAN
from gan.training.trainer import DDPPerNetwork  # noqa: F401  (registers DDP)
from gan.utils.processes import DDP


class Generator(nn.Module):
    latent_dim = 6

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 3 * 16 * 16), nn.Tanh())

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.layers(z).reshape(-1, 3, 16, 16)


class Discriminator(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Flatten(), nn.Linear(512, 1))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.layers(x).flatten()


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

    def count(self, state: Any, bucket: torch.distributed.GradBucket) -> Any:
        """Count the numbers that the ranks reduce."""
        self.reduced[-1] += bucket.buffer().numel()
        return allreduce_hook(None, bucket)

    def on_train_batch_start(self, trainer: Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.reduced.append(0)
        self.images.append(batch["image"].clone())
        self.latents.append(pl_module.latents(batch_idx, "discriminator"))


def main(out: Path, ranks: int, n_critic: int, micro_batch: int, first: int = 0, last: int = 6) -> None:
    torch.manual_seed(1)
    adam = functools.partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999))
    module = GAN(
        Generator(),
        Discriminator(),
        Nonsaturating(),
        adam,
        adam,
        batch_size=8,
        n_critic=n_critic,
        micro_batch=micro_batch or None,
        penalties={"r1": R1(weight=1.0, interval=2), "squared_logits": SquaredLogits()},
        augment=Adaptive(
            APA(Adaptive(DiffAugment(["translation", "cutout"]), target=-1.0, adjustment_images=48, interval=2)),
            target=-1.0,
            adjustment_images=48,
            interval=2,
        ),
    )
    record = Record()
    trainer = Trainer(
        accelerator="cpu",
        devices=ranks,
        strategy=DDP if ranks > 1 else "auto",
        max_steps=last,
        max_epochs=-1,
        use_distributed_sampler=False,
        logger=False,
        callbacks=[record],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    start = str(out / f"{first}.ckpt") if first else None
    trainer.fit(module, ImageDataModule(size=16, num_images=20, batch_size=8), ckpt_path=start, weights_only=True)
    trainer.save_checkpoint(out / f"{last}.ckpt")
    content = {
        "state": module.state_dict(),
        "images": torch.stack(record.images),
        "latents": torch.stack(record.latents),
        "reduced": record.reduced,
    }
    torch.save(content, out / f"{ranks}-{last}-{trainer.global_rank}.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
