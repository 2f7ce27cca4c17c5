"""Closed forms, fitted to images of different content, and the choice among them."""

import re

import numpy as np
import pytest
import scipy.stats
import torch
from torch import Tensor

from gan.networks.closed_form import choose, fit
from gan.networks.closed_form.color_map import ColorMap
from gan.networks.closed_form.fit import COLOR_MAPS, draw_pixels

MATRIX = np.array([[0.7, 0.2, 0.0], [0.1, 0.6, 0.1], [0.0, 0.1, 0.5]])
SHIFT = np.array([20.0, 10.0, 60.0])


def photographs(count: int, seed: int) -> Tensor:
    """Return images uint8 (count, 3, 64, 64): smooth random colors."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 4, 4, generator=generator) * 0.8 + 0.1 * torch.rand(
        count, 3, 1, 1, generator=generator
    )
    return (255 * torch.nn.functional.interpolate(coarse, (64, 64), mode="bilinear")).round().to(torch.uint8)


def linear_look(images: Tensor) -> Tensor:
    mapped = torch.einsum("ij,njhw->nihw", torch.from_numpy(MATRIX), images.double())
    return (mapped + torch.from_numpy(SHIFT)[:, None, None]).round().clamp(0, 255).to(torch.uint8)


def vignette(images: Tensor) -> Tensor:
    y, x = np.mgrid[-1:1:64j, -1:1:64j]
    return (images * torch.from_numpy(1 - 0.6 * (x * x + y * y) / 2)).round().to(torch.uint8)


def frame(images: Tensor) -> Tensor:
    framed = images.clone()
    for edge in (framed[..., :3, :], framed[..., -3:, :], framed[..., :, :3], framed[..., :, -3:]):
        edge[:] = 250
    return framed


def error(change: ColorMap, images: Tensor, truth: Tensor) -> float:
    """Return the mean absolute difference in levels."""
    mapped = (change(images / 127.5 - 1) + 1) * 127.5
    return float((mapped - truth).abs().mean())


A, B, HELD_OUT = photographs(60, 1), photographs(60, 2), photographs(20, 3)
FEW = 5000  # pixels for a fit


def test_each_kind_finds_a_linear_look_of_other_images() -> None:
    a, b = draw_pixels(A, 0, FEW), draw_pixels(linear_look(B), 1, FEW)
    unchanged = error(ColorMap(), HELD_OUT, linear_look(HELD_OUT))
    left = {kind: error(fit.fit(a, b, kind), HELD_OUT, linear_look(HELD_OUT)) / unchanged for kind in COLOR_MAPS}
    assert left["linear"] < 0.2
    assert left["transport"] < 0.25
    assert 0.25 < left["histogram"] < 0.6  # a histogram per channel cannot mix channels


def test_a_transport_finds_a_curve_that_is_not_linear() -> None:
    def look(images: Tensor) -> Tensor:
        return (255 * (images / 255) ** 3).round().to(torch.uint8)

    a, b = draw_pixels(A, 0, FEW), draw_pixels(look(B), 1, FEW)
    left = {kind: error(fit.fit(a, b, kind), HELD_OUT, look(HELD_OUT)) for kind in COLOR_MAPS}
    assert left["flexible_transport"] < 0.75 * left["linear"]
    assert left["flexible_transport"] < left["transport"] < left["linear"]
    assert left["histogram"] < 0.5 * left["linear"]


def test_a_correction_finds_a_vignette() -> None:
    a, b, truth = draw_pixels(A, 0, FEW), draw_pixels(vignette(B), 1, FEW), vignette(HELD_OUT)
    corrected = fit.with_position(fit.linear(a.levels, b.levels), a, b, "radial")
    assert error(corrected, HELD_OUT, truth) < 0.5 * error(fit.fit(a, b, "linear"), HELD_OUT, truth)


def chosen(a: Tensor, b: Tensor, monkeypatch: pytest.MonkeyPatch) -> choose.Choice:
    """Return the choice among maps that come nearer to the targets than the unchanged images do."""
    distances = dict.fromkeys(COLOR_MAPS, 0.1) | {"unchanged": 0.2}
    monkeypatch.setattr(choose, "held_out_distances", lambda *_: distances)  # takes seconds
    return choose.choose(a, b, samples=FEW)


def test_a_map_that_makes_some_images_black_gets_less_weight() -> None:
    images = torch.cat([A // 2, B // 2 + 128])  # half of them are dark

    def choice(change: fit.Change) -> choose.Choice:
        return choose.Choice(
            "transport", None, ColorMap(fit.table_of(change)), dict.fromkeys((*COLOR_MAPS, "unchanged"), 0.1)
        )

    crushing, soft = choice(lambda levels: 2 * (levels - 128).clip(0)), choice(lambda levels: 0.4 * levels + 60)
    moderated = choose.moderated(crushing, images)
    assert moderated.weight < 1 and "weight 1" in moderated.describe()
    kept = choose.evenness(images.float(), choose.mapped(moderated.color_map, images.float()))
    assert kept >= choose.EVENNESS > choose.evenness(images.float(), choose.mapped(crushing.color_map, images.float()))
    assert choose.moderated(soft, images) is soft  # less contrast in all images is a look


def test_a_map_that_makes_much_of_all_images_white_gets_less_weight() -> None:
    gradient = torch.linspace(0, 255, 32).round().to(torch.uint8).expand(12, 3, 32, 32)
    bleaching = ColorMap(fit.table_of(lambda levels: 1.4 * levels))  # 2 of 7 pixels become white
    choice = choose.Choice("transport", None, bleaching, dict.fromkeys((*COLOR_MAPS, "unchanged"), 0.1))
    colors = gradient.float()
    assert choose.evenness(colors, choose.mapped(bleaching, colors)) == pytest.approx(1)
    assert choose.bleached(colors, choose.mapped(bleaching, colors)) > 0.2
    moderated = choose.moderated(choice, gradient)
    assert choose.bleached(colors, choose.mapped(moderated.color_map, colors)) <= choose.BLEACHED


def status_bar(images: Tensor) -> Tensor:
    barred = images.clone()
    barred[..., -12:, :] = 20
    return barred


LOOKS = [(linear_look, None), (vignette, "radial")]
CONTENT = [(frame, None), (status_bar, None)]


@pytest.mark.parametrize(("look", "position"), [*LOOKS, *CONTENT])
def test_the_position_is_only_a_vignette_of_most_targets(
    look: object, position: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = chosen(A, look(B), monkeypatch)
    assert (found.kind, found.position) == ("transport", position)
    assert found.color_map.varies == (position is not None)
    few = torch.cat([look(B[:15]), linear_look(B[15:])])
    assert chosen(A, few, monkeypatch).position is None


def test_the_description_says_what_is_painted_and_how_to_leave_it_out(monkeypatch: pytest.MonkeyPatch) -> None:
    said = chosen(A, vignette(B), monkeypatch).describe("model.color_position=none")
    assert re.match(
        r"transport, and a vignette \(model\.color_position=none leaves it out\)\n"
        r"  distance of colors to held-out target images: 0\.2000 before, 0\.1000 after$",
        said,
    )


def test_one_colored_image_does_not_tint_black_and_white(monkeypatch: pytest.MonkeyPatch) -> None:
    gray = B.float().mean(1, keepdim=True).round().to(torch.uint8).expand(-1, 3, -1, -1).clone()
    gray[7, 0], gray[7, 1:] = 255, 0
    found = chosen(A, gray, monkeypatch)
    table = found.color_map.table
    assert (table.amax(0) - table.amin(0))[8:25, 8:25, 8:25].max() * 127.5 < 5
    assert len(choose.typical(gray)) == len(gray) - 1
    gray[:20] = B[:20]  # many colored images are no exceptions
    assert len(choose.typical(gray)) == len(gray)


def test_two_samples_of_one_look_stay_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    found = chosen(vignette(A), vignette(B), monkeypatch)
    assert (found.kind, found.position, found.color_map.is_identity) == ("unchanged", None, True)
    assert found.describe().startswith("none, because the colors of the two sides do not differ")


@pytest.mark.parametrize("kind", COLOR_MAPS)
def test_the_slope_of_a_map_is_bounded(kind: str) -> None:
    """Line art of black on white, with the noise of JPEG, is mapped to many colors."""
    lines = torch.where(A > 60, 255, 0).to(torch.uint8)
    table = fit.fit(draw_pixels(lines, 0, FEW), draw_pixels(B, 1, FEW), kind).table
    slopes = [float(table.diff(dim=axis).abs().max()) * (table.shape[-1] - 1) / 2 for axis in (1, 2, 3)]
    assert max(slopes) < fit.MAX_SLOPE + 1e-3


def test_a_kind_and_a_position_can_be_given() -> None:
    found = choose.choose(A[:16], B[:16], kind="linear", position="radial", samples=2000)
    assert (found.kind, found.position, found.color_map.varies) == ("linear", "radial", True)
    assert not choose.choose(A[:16], vignette(B[:16]), position="none", samples=2000).color_map.varies


def test_another_kind_wins_only_by_a_margin() -> None:
    distances = {"linear": 1.0, "histogram": 0.95, "transport": 1.02, "flexible_transport": 0.96, "unchanged": 2.0}
    assert choose.best_kind(distances) == "transport"
    assert choose.best_kind(distances | {"linear": 0.9}) == "linear"
    assert choose.best_kind(distances | {"flexible_transport": 0.9}) == "flexible_transport"
    assert choose.best_kind(distances | {"unchanged": 1.0}) == "unchanged"


def test_hotelling_is_students_t_in_one_dimension() -> None:
    rng = np.random.default_rng(0)
    x, y = 10 * rng.standard_normal((20, 1)), 10 * rng.standard_normal((30, 1)) + 5
    assert choose.hotelling(x, y) == pytest.approx(scipy.stats.ttest_ind(x[:, 0], y[:, 0]).pvalue, rel=1e-3)


def test_transparent_pixels_do_not_count() -> None:
    """Premultiplied RGBA: half of each image is transparent, the rest half opaque."""
    alpha = torch.full((60, 1, 64, 64), 150, dtype=torch.uint8)
    alpha[..., :32] = 0
    premultiplied = torch.cat([(A.float() * alpha / 255).round().to(torch.uint8), alpha], 1)
    found = draw_pixels(premultiplied, 0)
    opaque = draw_pixels(A[..., 32:], 0)
    visible, expected = (np.quantile(each.levels, [0.1, 0.5, 0.9]) for each in (found, opaque))
    np.testing.assert_allclose(visible, expected, atol=4)


def test_images_of_one_color_stay_finite() -> None:
    flat = torch.full((8, 3, 16, 16), 77, dtype=torch.uint8)
    for kind in COLOR_MAPS:
        for position in (None, "radial"):
            a, b = draw_pixels(flat, 0, 500), draw_pixels(flat + 50, 1, 500)
            change = fit.with_position(fit.fit_kinds(a.levels, b.levels, [kind])[kind], a, b, position)
            assert torch.isfinite(change.table).all()
            assert torch.isfinite(change.position).all()
            assert error(change, flat, flat + 50) < 2


def test_the_sliced_distance_of_shifted_rows() -> None:
    """The mean over directions of |v|: 1/2 for a shift by 1 along one of three axes."""
    rows = np.random.default_rng(0).random((4000, 3))
    assert choose.sliced_wasserstein(rows, rows) == 0
    assert choose.sliced_wasserstein(rows, rows + np.array([1, 0, 0])) == pytest.approx(0.5, abs=0.06)
