"""Closed forms recover color changes that they can represent, from other pixels of the same distribution."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.metrics.color_transfer import CLOSED_FORMS, channel_statistics, histogram, monge_kantorovich, opaque


def pictures(seed: int) -> Tensor:
    """Return images with correlated colors, far from 0 and 255."""
    random = np.random.default_rng(seed)
    mixed = random.normal(0, 1, (8, 40, 40, 3)) @ np.array([[20, 5, 0], [0, 15, 8], [0, 0, 10]]) + [120, 110, 130]
    return torch.from_numpy(mixed.clip(0, 255).round().astype(np.uint8)).permute(0, 3, 1, 2)


def changed(images: Tensor, matrix: list[list[float]], shift: list[float]) -> Tensor:
    moved = torch.einsum("ij,njhw->nihw", torch.tensor(matrix), images.float()) + torch.tensor(shift)[:, None, None]
    return moved.round().clamp(0, 255).to(torch.uint8)


SCALED = [[0.5, 0, 0], [0, 0.8, 0], [0, 0, 1.2]], [30.0, 40.0, -40.0]
MIXED = [[0.6, 0.2, 0.1], [0.2, 0.7, 0.0], [0.1, 0.0, 0.9]], [10.0, 5.0, 0.0]  # symmetric and positive


@pytest.mark.parametrize(("fit", "change"), [
    (channel_statistics, SCALED), (histogram, SCALED), (monge_kantorovich, SCALED), (monge_kantorovich, MIXED),
])  # fmt: skip
def test_a_transfer_is_fitted_to_unpaired_images(fit, change) -> None:
    transfer = fit(pictures(0), changed(pictures(1), *change))
    seen = pictures(2)
    away = (transfer(seen).float() - changed(seen, *change).float()).abs().mean()
    assert away < 1.5


def test_mixed_channels_need_a_full_matrix() -> None:
    turned = [[0.0, 1, 0], [0, 0, 1], [1, 0, 0]], [0.0, 0, 0]
    seen = pictures(2)
    for fit in (channel_statistics, histogram):
        transfer = fit(pictures(0), changed(pictures(1), *turned))
        assert (transfer(seen).float() - changed(seen, *turned).float()).abs().mean() > 5


def test_the_linear_map_matches_mean_and_covariance() -> None:
    source, target = pictures(0), changed(pictures(1), *MIXED)
    moved = monge_kantorovich(source, target)(source)
    for statistic in (lambda x: x.mean(1), lambda x: x.cov()):
        one, other = (statistic(each.transpose(0, 1).flatten(1).double()) for each in (moved, target))
        assert torch.allclose(one, other, rtol=0.02, atol=2)


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_images_of_one_color_are_supported(name: str) -> None:
    flat = torch.full((2, 3, 4, 4), 100, dtype=torch.uint8)
    moved = CLOSED_FORMS[name](flat, flat + 20)(flat)
    assert moved.dtype == torch.uint8 and (moved.int() - 120).abs().max() <= 1


def test_a_map_of_levels_equals_its_map_of_units() -> None:
    form = monge_kantorovich(pictures(0), changed(pictures(1), *MIXED))
    matrix, shift = form.of_units()
    seen = pictures(2)
    units = torch.einsum("ij,njhw->nihw", matrix, seen.double() / 127.5 - 1) + shift[:, None, None]
    assert torch.equal(((units + 1) * 127.5).round().clamp(0, 255).to(torch.uint8), form(seen))


def test_transparent_pixels_are_excluded() -> None:
    rgba = torch.tensor([[100, 50, 0, 255], [60, 30, 0, 150], [9, 9, 9, 20]], dtype=torch.uint8).T[None, :, None]
    assert opaque(rgba).squeeze().T.tolist() == [[100, 50, 0], [102, 51, 0]]
    assert torch.equal(opaque(pictures(0))[0, :, 0], pictures(0).transpose(0, 1).flatten(1))
