"""DiffAugment: ranges, transparency, second derivatives, and shared random numbers."""

import pytest
import torch

from gan.augment.diffaugment import DiffAugment, color, cutout, translation


def random(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_colors_follow_the_formula() -> None:
    x, u = torch.rand(1, 3, 4, 4), torch.tensor([[0.9, 0.25, 0.8]])
    bright = x + 0.4
    saturated = bright.mean(1, keepdim=True) + (bright - bright.mean(1, keepdim=True)) * 0.5
    torch.testing.assert_close(color(x, u), saturated.mean() + (saturated - saturated.mean()) * 1.3)


def test_translation_moves_by_whole_pixels_up_to_an_eighth() -> None:
    x = torch.arange(1.0, 257).reshape(1, 1, 16, 16)
    moved = translation(x, torch.tensor([[0.999, 0.0]]))  # two down, two to the left
    assert torch.equal(moved[0, 0, 2:, :-2], x[0, 0, :-2, 2:])
    assert moved[0, 0, :2].abs().sum() == moved[0, 0, :, -2:].abs().sum() == 0
    assert torch.equal(translation(x, torch.full((1, 2), 0.5)), x)


@pytest.mark.parametrize(("wrap", "axes"), [("x", (3,)), ("y", (2,)), ("both", (2, 3))])
def test_translations_of_seamless_images_wrap_around_by_any_distance(wrap: str, axes: tuple[int, ...]) -> None:
    x, u = torch.randn(1, 3, 16, 24), torch.tensor([[0.999, 0.5]])
    augment = DiffAugment(["translation"], wrap=wrap)
    y = augment(x, {"translation": u})
    expected = x
    for axis, furthest, usual in ((2, 15, 2), (3, 12, 0)):
        expected = torch.roll(expected, furthest if axis in axes else usual, axis)
    inside = slice(None) if 2 in axes else slice(2, None)
    assert torch.equal(y[:, :, inside], expected[:, :, inside])
    assert 2 in axes or not y[:, :, :2].any()


def test_cutout_covers_the_given_fraction_of_each_side() -> None:
    x, middle = torch.ones(1, 3, 40, 80), {"cutout": torch.full((1, 2), 0.5)}
    for fraction, height, width in ((0.0, 0, 0), (0.2, 8, 16), (0.5, 20, 40), (0.33, 12, 26), (1.0, 40, 80)):
        hole = DiffAugment(["cutout"], cutout=fraction)(x, middle) == 0
        assert hole[0, 0].sum() == height * width
        assert not fraction or hole[0, 0].any(1).sum() == height
    assert torch.equal(DiffAugment(["cutout"])(x, middle), cutout(x, middle["cutout"]))


def test_rgba_is_filled_with_transparent_and_stays_premultiplied() -> None:
    alpha = torch.rand(8, 1, 16, 16) * 2 - 1
    x = torch.cat([torch.minimum(torch.rand(8, 3, 16, 16) * 2 - 1, alpha), alpha], 1)
    augment = DiffAugment()
    y = augment(x, augment.draw(8, (16, 16), random()))
    assert (y[:, :3] <= y[:, 3:] + 1e-6).all()
    hole = cutout(torch.ones(1, 4, 16, 16), torch.full((1, 2), 0.5))
    assert (hole[0, :, 8, 8] == -1).all()


def test_some_images_stay_unchanged() -> None:
    x = torch.rand(400, 3, 16, 16)
    for probability in (0.0, 0.3):
        augment = DiffAugment(probability=probability)
        changed = (augment(x, augment.draw(400, (16, 16), random())) != x).flatten(1).any(1).float().mean()
        assert changed.item() == pytest.approx(probability, abs=0.06)


def test_cells_stay_together() -> None:
    art = torch.rand(8, 3, 8, 8).repeat_interleave(4, 2).repeat_interleave(4, 3)
    augment = DiffAugment(["translation", "cutout"], cell=4)
    y = augment(art, augment.draw(8, (32, 32), random()))
    assert torch.equal(y, y[:, :, ::4, ::4].repeat_interleave(4, 2).repeat_interleave(4, 3))
    assert not torch.equal(y, art)
