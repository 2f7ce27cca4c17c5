"""Metrics of translations: 0 for the identity, 1 for the ground truth, negative for inverted luminance."""

import pytest
import torch

from gan.metrics.pairs import color_difference, content_preservation, ground_truth_scores, psnr

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
