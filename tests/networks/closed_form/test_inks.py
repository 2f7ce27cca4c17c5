"""Drawings in a few inks: palettes, lines whose width carries the tone, flat areas, and the search of settings."""

import pytest
import torch
from torch import Tensor

from gan.networks.closed_form.color_map import ColorMap
from gan.networks.closed_form.inks import OF_AREAS, SETTINGS, Inks, k_means

CYCLES = 0.125


def inks(colors: list[list[float]], **settings: float) -> Inks:
    made = Inks()
    made.palette[: len(colors)] = torch.tensor(colors)
    made.set_settings({name: values[0] for name, values in SETTINGS.items()} | settings, len(colors))
    return made


def flat(*levels: float) -> Tensor:
    return torch.tensor(levels)[:, None, None, None].expand(-1, 3, 32, 32)


def parallel(n: int) -> Tensor:
    """Return waves (n, 2, 32, 32), across and down."""
    wave = torch.cos(2 * torch.pi * CYCLES * torch.arange(32)).expand(32, 32)
    return torch.stack([wave, wave.T])[None].expand(n, -1, -1, -1)


BLACK_AND_WHITE = [[-1.0] * 3, [1.0] * 3]


def test_k_means_finds_the_inks() -> None:
    colors = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 0.9, 0.8], [0.5, -0.5, 0.0]])
    noisy = colors.repeat(200, 1) + 0.01 * torch.randn(600, 3, generator=torch.Generator().manual_seed(0))
    found = k_means(noisy, 3)
    assert torch.allclose(found[found[:, 0].argsort()], colors[colors[:, 0].argsort()], atol=0.01)


@pytest.mark.parametrize("hatching", [0.0, 90.0])
def test_lines_carry_the_tone(hatching: float) -> None:
    made, x = inks(BLACK_AND_WHITE, hatching=hatching), flat(-0.6, 0.0, 0.4)
    drawn = made.mixed(made.logits(x, parallel(3), torch.zeros(3, 1, 32, 32), CYCLES), None)
    assert drawn.amin() < -0.9
    assert drawn.amax() > 0.9
    assert torch.allclose(drawn.mean((1, 2, 3)), torch.tensor([-0.6, 0.0, 0.4]), atol=0.25)
    crossed = drawn[0].std(1).amax() > 0.1  # a column of parallel lines across is constant
    assert crossed == (hatching > 0)


@pytest.mark.parametrize("contrast", [1.0, 1.8])
def test_blurred_lines_have_the_tones(contrast: float) -> None:
    made, x = inks(BLACK_AND_WHITE, contrast=contrast), flat(-0.5, 0.0, 0.3)
    drawn = made.mixed(made.logits(x, parallel(3), torch.zeros(3, 1, 32, 32), CYCLES), None)
    assert torch.allclose(drawn.mean((2, 3)), made.tones(x, CYCLES).mean((2, 3)), atol=0.1)
    assert made.tones(x, CYCLES)[0].mean() == pytest.approx(max(-0.5 * contrast, -1), abs=0.01)


def test_areas_get_the_nearest_ink_and_smooth_outlines() -> None:
    colors = [[-1.0, -1.0, -1.0], [0.9, 0.2, -0.4], [1.0, 1.0, 0.9]]
    x = flat(0.9).clone()
    x[0, :, :, 16:] = torch.tensor([0.8, 0.1, -0.3])[:, None, None]
    x[0, :, 8, 8] = -1.0  # a speck
    speck = {}
    for outline in (0.0, 1.4):
        made = inks(colors, outline=outline)
        drawn = made.mixed(made.logits(x, x[:, :2], x[:, :1], 0.0), None)[0]
        assert torch.allclose(drawn[:, 4, 4], torch.tensor(colors[2]), atol=0.05)
        assert torch.allclose(drawn[:, 20, 26], torch.tensor(colors[1]), atol=0.05)
        speck[outline] = float(drawn[:, 8, 8].mean())
    assert speck[0.0] < -0.9
    assert speck[1.4] > 0.5


@pytest.mark.slow
def test_the_search_finds_settings_that_gave_an_image() -> None:
    colors = [[-1.0, -1.0, -1.0], [0.9, 0.2, -0.4], [1.0, 1.0, 0.9]]
    truth = inks(colors, sharpness=1.0, outline=1.4)
    coarse = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x = torch.nn.functional.interpolate(coarse, scale_factor=4)
    wanted, made = truth.mixed(truth.logits(x, x, x, 0.0), None), inks(colors)
    best = made.fit_settings(x, lambda angle: x, 0.0, lambda drawn: float((drawn - wanted).abs().mean()))
    assert best == 0
    assert inks(colors).fit_settings(x, lambda angle: x, 0.0, lambda drawn: 2.0, limit=1.0) == 2
    assert made.describe() == "3 inks, sharpness 1, outline 1.4"
    assert [made.settings[name] for name in OF_AREAS] == [truth.settings[name] for name in OF_AREAS]


@pytest.mark.slow
def test_fitted_colors_are_those_of_prints() -> None:
    random = torch.Generator().manual_seed(0)
    photographs = torch.nn.functional.interpolate(torch.rand(20, 3, 4, 4, generator=random) * 2 - 1, scale_factor=16)
    stripes = torch.where(torch.arange(64) % 6 < 3, -0.9, 0.8).expand(20, 3, 64, 64)
    made = Inks()
    made.fit_colors(photographs, stripes, ColorMap(), has_lines=True)
    assert torch.allclose(made.palette[:2, 0], torch.tensor([-0.9, 0.8]), atol=0.02)
    again = Inks()
    again.load_state_dict(made.state_dict())
    assert (again.count, again.settings) == (2, made.settings)
    assert made.tone(photographs).mean() == pytest.approx(-0.05, abs=0.1)
