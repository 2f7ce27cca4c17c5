"""FastGAN: excitations as in the paper, noise in training only, and reconstruction."""

import pytest
import torch

from gan.networks.fastgan import Discriminator, Generator, SkipLayerExcitation, reconstruction_loss
from gan.utils.errors import UserError


@pytest.mark.slow
def test_channels_and_excitations_are_the_papers_at_256_px() -> None:
    generator = Generator((256, 256))
    assert [block[-2].num_features // 2 for block in generator.blocks] == [512, 256, 128, 128, 64, 32]
    assert len(generator.excitations) == 3  # 4 to 64, 8 to 128, 16 to 256 px
    with torch.device("meta"):
        assert len(Generator((1024, 1024)).excitations) == 4  # none at 1024 px
    gates = SkipLayerExcitation(8, 5)(torch.randn(2, 8, 16, 12))
    assert gates.shape == (2, 5, 1, 1) and ((gates > 0) & (gates < 1)).all()


@pytest.mark.parametrize(
    ("size", "small"),
    [((256, 256), (128, 128)), ((320, 256), (160, 128)), ((512, 256), (256, 128)), ((256, 192), None)],
)
def test_from_256_px_on_there_is_a_second_output_and_head(size: tuple[int, int], small: tuple[int, int] | None) -> None:
    generator, discriminator = Generator(size, width=4), Discriminator(size, width=4)
    images = torch.rand(2, 3, *size) * 2 - 1
    assert generator.small_output is discriminator.small_input is (small is not None)
    if small is None:
        assert generator(torch.randn(2, 256), small=True).shape == (2, 3, *size)
        assert discriminator.small is None and discriminator(images).ndim == 4
        return
    large, second = generator(torch.randn(2, 256), small=True)
    assert large.shape == images.shape and second.shape == (2, 3, *small)
    discriminator.eval()
    patches = discriminator.to_logits(discriminator.features(images)[-1]).flatten(1)
    logits = discriminator(images, None, second)
    torch.testing.assert_close(logits, torch.cat([patches, discriminator.small(second).flatten(1)], 1))
    assert logits.shape == (2, 2 * patches.shape[1])
    factor = size[0] // small[0]
    means = images.unfold(2, factor, factor).unfold(3, factor, factor).mean((4, 5))
    torch.testing.assert_close(discriminator(images), discriminator(images, None, means))


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


def test_images_too_small_to_reconstruct_are_refused() -> None:
    with pytest.raises(UserError, match="too small; use at least 16x16"):
        Discriminator((12, 24), width=2)
