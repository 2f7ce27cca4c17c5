"""Augmentations must not leak into samples: cutouts are counted after a short run, and the count can find them."""

from __future__ import annotations

import functools
from typing import Any

import pytest
import torch
from lightning import Trainer
from torch import Tensor, nn
from torch.nn import functional as F

from gan.augment.ada import ADA
from gan.augment.diffaugment import DiffAugment
from gan.contracts import Step
from gan.data.module import ImageDataModule
from gan.losses.nonsaturating import Nonsaturating
from gan.networks.dcgan import Discriminator, Generator
from gan.training.module import GAN

pytestmark = pytest.mark.slow


class Leaky(GAN):
    """Augments only real images, as data augmentation does."""

    def discriminator_loss(self, step: Step) -> dict[str, Tensor]:
        step.real, step.augmented = step.augmented(step.real), lambda x: x
        return super().discriminator_loss(step)


def holed(images: Tensor) -> float:
    """Return the fraction of images with a square of half a side that is almost entirely mid-gray."""
    gray = ((images.float() / 127.5 - 1).abs().amax(1, keepdim=True) < 0.25).float()
    return (F.avg_pool2d(gray, images.shape[2] // 2, 1).amax((1, 2, 3)) > 0.9).float().mean().item()


@pytest.mark.parametrize(
    ("kind", "augment", "leaks"),
    [
        (GAN, DiffAugment(), False),
        (GAN, ADA({"blit": 1.0, "cutout": 1.0}, probability=0.6), False),
        (Leaky, DiffAugment(), True),
    ],
)
def test_cutout_does_not_leak_into_samples(kind: type[GAN], augment: nn.Module, leaks: bool) -> None:
    torch.manual_seed(0)
    adam: Any = functools.partial(torch.optim.Adam, lr=1e-3, betas=(0.5, 0.999))
    networks = Generator((16, 16), width=8, latent_dim=16), Discriminator((16, 16), width=8)
    module = kind(*networks, Nonsaturating(), adam, adam, batch_size=32, augment=augment, ema_half_life=500)
    names = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    trainer = Trainer(accelerator="cpu", max_steps=350, max_epochs=-1, **dict.fromkeys(names, False))  # type: ignore[arg-type]
    data = ImageDataModule(size=16, num_images=256, batch_size=32)
    trainer.fit(module, data)
    assert holed(data.reals(256)) == 0
    share = holed(module.fakes(256))
    assert share > 0.2 if leaks else share < 0.05
