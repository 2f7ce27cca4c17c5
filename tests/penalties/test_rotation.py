"""Rotations of real images: the term agrees with NumPy, and what cannot be rotated or learned is refused."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gan.networks import dcgan
from gan.penalties.rotation import Rotation
from gan.utils.errors import UserError


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


def test_what_cannot_be_rotated_or_learned_is_refused() -> None:
    with pytest.raises(UserError, match="needs square images, but these are 16x24"):
        Rotation((16, 24))
    frozen = dcgan.Discriminator((16, 16), width=4, norm="none").requires_grad_(False)
    with pytest.raises(UserError, match="features of this discriminator are frozen"):
        Rotation(16, embedding_dim=16)(step(torch.randn(4, 3, 16, 16), frozen))
