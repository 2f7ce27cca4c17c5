"""Rotations of real images: the term agrees with NumPy, a discriminator learns them, and a run resumes."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gan.networks import dcgan
from gan.penalties.rotation import Rotation
from gan.utils.errors import UserError
from tests.conftest import Train


def step(images: torch.Tensor, discriminator: torch.nn.Module) -> Any:
    return SimpleNamespace(real=images, discriminator=discriminator)


def test_the_term_is_the_cross_entropy_of_four_rotations() -> None:
    torch.manual_seed(0)
    discriminator = dcgan.Discriminator((16, 16), width=4, norm="none").double()
    penalty = Rotation(16, embedding_dim=16, weight=0.5).double()
    images = torch.randn(9, 3, 16, 16, dtype=torch.float64)
    weight, bias = (each.detach().numpy() for each in (penalty.head.weight, penalty.head.bias))
    terms = []
    for image in images[:2].numpy():
        for turn in range(4):
            turned = np.rot90(image, turn, (1, 2)).copy()
            with torch.no_grad():
                features = discriminator.features(torch.from_numpy(turned)[None])[-1].flatten().numpy()
            means = features.reshape(16, -1).mean(1)
            logits = weight @ means + bias
            terms.append(np.log(np.exp(logits).sum()) - logits[turn])
    assert penalty(step(images, discriminator)).item() == pytest.approx(0.5 * np.mean(terms))


def test_rotations_are_learned() -> None:
    torch.manual_seed(0)
    discriminator, penalty = dcgan.Discriminator((16, 16), width=4), Rotation(16)
    optimizer = torch.optim.Adam([*discriminator.parameters(), *penalty.parameters()], 3e-3)
    lit = torch.linspace(-1, 1, 16)[:, None].expand(32, 3, 16, 16)  # the light comes from below
    for _ in range(30):
        loss = penalty(step(lit + 0.3 * torch.randn(32, 3, 16, 16), discriminator))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.3  # of 1.39 where nothing is told


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(UserError, match="needs square images, but these are 16x24"):
        Rotation((16, 24))


@pytest.mark.slow
def test_a_run_trains_with_it_and_resumes(train: Train, tmp_path: Path) -> None:
    train("penalty=[rotation]", "images=16", "hydra.run.dir=run")
    train("resume=run", "images=96", tiny=False)
    assert "penalty/rotation" in (tmp_path / "run" / "metrics.jsonl").read_text()


def test_frozen_features_are_refused() -> None:
    frozen = dcgan.Discriminator((16, 16), width=4, norm="none").requires_grad_(False)
    with pytest.raises(UserError, match="features of this discriminator are frozen"):
        Rotation(16, embedding_dim=16)(step(torch.randn(4, 3, 16, 16), frozen))
