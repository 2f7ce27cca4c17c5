"""FastGAN: excitations as in the paper, noise in training only, and reconstruction."""

from __future__ import annotations

import pytest
import torch

from gan.common.errors import UserError
from gan.networks.fastgan import Discriminator, Generator, NoiseInjection, SkipLayerExcitation, reconstruction_loss


def test_channels_and_excitations_are_the_papers_at_256_px() -> None:
    generator = Generator((256, 256))
    assert [block[-2].num_features // 2 for block in generator.blocks] == [512, 256, 128, 128, 64, 32]
    assert len(generator.excitations) == 3  # 4 to 64, 8 to 128, 16 to 256 px
    with torch.device("meta"):
        assert len(Generator((1024, 1024)).excitations) == 4  # none at 1024 px
    gates = SkipLayerExcitation(8, 5)(torch.randn(2, 8, 16, 12))
    assert gates.shape == (2, 5, 1, 1) and ((gates > 0) & (gates < 1)).all()


def test_noise_is_added_in_training_only() -> None:
    noise, x = NoiseInjection(), torch.zeros(2, 3, 4, 4)
    noise.gain.data.fill_(2.0)
    drawn = noise(x)
    assert drawn.std() > 1 and torch.equal(drawn[:, 0], drawn[:, 1])  # the same for all channels
    assert torch.equal(noise.eval()(x), x)


def test_patches_see_their_part_of_the_image() -> None:
    discriminator = Discriminator((64, 64), width=4).eval()
    assert discriminator(torch.randn(2, 3, 64, 64)).shape == (2, 1, 5, 5)


def test_reconstruction_loss_is_0_for_equal_images_and_agrees_with_the_formula() -> None:
    x = torch.rand(2, 3, 7, 7, dtype=torch.float64) * 2 - 1
    y = torch.rand(2, 3, 7, 7, dtype=torch.float64) * 2 - 1
    assert reconstruction_loss(x, x).item() == pytest.approx(0, abs=1e-5)
    a, b = x.flatten(2), y.flatten(2)  # one window
    covariance = ((a - a.mean(2, keepdim=True)) * (b - b.mean(2, keepdim=True))).mean(2)
    c1, c2 = 0.0004, 0.0036
    ssim = (2 * a.mean(2) * b.mean(2) + c1) * (2 * covariance + c2)
    ssim = ssim / ((a.mean(2) ** 2 + b.mean(2) ** 2 + c1) * (a.var(2, correction=0) + b.var(2, correction=0) + c2))
    assert reconstruction_loss(x, y).item() == pytest.approx(((x - y).abs().mean() + 1 - ssim.mean()).item(), rel=1e-4)


@pytest.mark.parametrize("size", [(16, 16), (32, 48), (64, 64)])
def test_reconstruction_is_learned(size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(size, width=4)
    images = torch.rand(4, 3, 1, 1).expand(-1, -1, *size) * 2 - 1  # plain colors
    optimizer = torch.optim.Adam(discriminator.parameters(), 1e-2)
    losses = []
    for _ in range(12):
        loss = discriminator.auxiliary(images, images)["reconstruction"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize("size", [(8, 8), (12, 12), (12, 24)])
def test_images_too_small_to_reconstruct_are_refused(size: tuple[int, int]) -> None:
    with pytest.raises(UserError, match="too small; use at least 16x16"):
        Discriminator(size, width=2)
