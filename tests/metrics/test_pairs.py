"""Full-reference metrics, and scores of translations."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms.v2.functional import gaussian_blur

from gan.data.builtin.retro import draw
from gan.metrics.pairs import color_difference, content_preservation, ground_truth_scores, psnr, ssim
from gan.metrics.perceptual import PerceptualDistance
from gan.utils.errors import UserError


@pytest.fixture
def images() -> Tensor:
    return torch.from_numpy(np.stack([draw(0, i, 48, 32).transpose(2, 0, 1) for i in range(12)]))


@pytest.fixture(scope="module")
def perceptual() -> PerceptualDistance:
    return PerceptualDistance()


def flat(*colors: tuple[int, int, int]) -> Tensor:
    return torch.tensor(colors, dtype=torch.uint8)[:, :, None, None].expand(-1, -1, 16, 16)


def test_equal_images(images: Tensor, perceptual: PerceptualDistance) -> None:
    assert psnr(images, images).isinf().all()
    assert ssim(images, images).tolist() == pytest.approx([1] * len(images))
    assert color_difference(images, images).eq(0).all()
    assert perceptual(images, images).eq(0).all()


def test_psnr_of_one_level() -> None:
    x, y = flat((10, 20, 30), (0, 0, 0)), flat((11, 21, 31), (255, 255, 255))
    assert psnr(x, y).tolist() == pytest.approx([20 * math.log10(255), 0])


def test_color_differences() -> None:
    """Black and white differ by 100 by definition; red and green as in published converters."""
    x = flat((0, 0, 0), (255, 0, 0))
    y = flat((255, 255, 255), (0, 255, 0))
    assert color_difference(x, y).tolist() == pytest.approx([100, 86.6], abs=0.05)


def test_ssim_sees_structure_where_psnr_sees_none(images: Tensor) -> None:
    brighter = images.clamp(max=225) + 30
    noisy = (images.float() + 30 * torch.randn(images.shape, generator=torch.Generator().manual_seed(0))).clamp(0, 255)
    noisy = noisy.to(torch.uint8)
    assert psnr(images, brighter).mean() < psnr(images, noisy).mean()
    assert ssim(images, brighter).mean() > ssim(images, noisy).mean() + 0.2


def test_blur_and_another_image_increase_the_distance(images: Tensor, perceptual: PerceptualDistance) -> None:
    little, much, others = gaussian_blur(images, 9, 0.7), gaussian_blur(images, 9, 2.0), images.roll(1, 0)
    distances = [perceptual(images, changed).mean() for changed in (little, much, others)]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_a_distance_does_not_depend_on_the_batch(images: Tensor, perceptual: PerceptualDistance) -> None:
    others = images.roll(1, 0)
    torch.testing.assert_close(perceptual(images[9:], others[9:]), perceptual(images, others)[9:], rtol=1e-4, atol=1e-6)


def test_invalid_images_are_refused(images: Tensor) -> None:
    with pytest.raises(UserError, match="at least one image with sides of 11 or more"):
        ssim(images[..., :10], images[..., :10])


INPUTS = torch.randint(40, 200, (3, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
TRUTHS = 255 - INPUTS


def test_the_gain_is_0_for_the_identity_and_1_for_the_truth() -> None:
    nothing, truth = ground_truth_scores(INPUTS, INPUTS, TRUTHS), ground_truth_scores(INPUTS, TRUTHS, TRUTHS)
    assert nothing["gain"] == 0 and nothing["psnr"] == pytest.approx(float(psnr(INPUTS, TRUTHS).mean()))
    assert truth == {"gain": 1.0, "ciede2000": 0.0, "psnr": 99.0, "ssim": pytest.approx(1.0)}
    near = TRUTHS + 10
    left, away = (float(color_difference(each, TRUTHS).mean()) for each in (near, INPUTS))
    assert ground_truth_scores(INPUTS, near, TRUTHS)["gain"] == pytest.approx(1 - left / away)


def test_the_gain_is_omitted_if_inputs_equal_the_truth() -> None:
    assert "gain" not in ground_truth_scores(INPUTS, TRUTHS, INPUTS)


@pytest.mark.parametrize("channels", [1, 4])
def test_gray_and_transparent_images(channels: int) -> None:
    before, after = (each[:, :1].expand(-1, channels, -1, -1) for each in (INPUTS, TRUTHS))
    assert ground_truth_scores(before, after, after)["gain"] == 1


def test_an_inverted_image_has_negative_correlation() -> None:
    assert content_preservation(INPUTS, INPUTS) == {
        "luminance_correlation": pytest.approx(1),
        "luminance_ssim": pytest.approx(1),
    }
    found = content_preservation(INPUTS, TRUTHS)
    assert found["luminance_correlation"] == pytest.approx(-1, abs=1e-3) and found["luminance_ssim"] < 0
    flat = torch.full_like(INPUTS, 7)
    assert content_preservation(INPUTS, flat)["luminance_correlation"] == 0
