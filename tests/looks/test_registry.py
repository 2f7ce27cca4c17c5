"""The styles of data=retro_filter: deterministic, at any size, with the expected effect; and their parameters."""

import sys

import numpy as np
import pytest

from gan.data.builtin.retro import draw
from gan.looks.fields import palette, parameters_of
from gan.looks.film import vignette
from gan.looks.prints import POSTER_INKS, kuwahara, screen
from gan.looks.registry import FILTERS, STYLES, filter_names, listing, make_style, predictable
from gan.utils.colors import COLORS
from gan.utils.errors import UserError


def picture(height: int = 60, width: int = 80) -> np.ndarray:
    return draw(0, 2, height, width)


@pytest.mark.parametrize("style", [*STYLES, *FILTERS, "1977", "nashville", ["fade", "scan_lines"]])
def test_styles_keep_the_size_and_are_deterministic(style: str | list[str]) -> None:
    for size in ((60, 80), (33, 17)):
        before = picture(*size)
        kept = before.copy()
        after = make_style(style)(before, 3)
        assert after.shape == before.shape and after.dtype == np.uint8
        assert np.array_equal(after, make_style(style)(before, 3)) and np.array_equal(before, kept)
        assert np.abs(after.astype(int) - before).mean() > 2


@pytest.mark.parametrize("style", STYLES)
def test_tiny_and_plain_images(style: str) -> None:
    for size in ((1, 1), (2, 9), (40, 5)):
        plain = np.full((*size, 3), 100, np.uint8)
        assert make_style(style)(plain, 0).shape == plain.shape


def test_only_stochastic_filters_are_random() -> None:
    for name in STYLES:
        without_noise = make_style(predictable(name))
        assert np.array_equal(without_noise(picture(), 0), without_noise(picture(), 1)), name


def test_an_unknown_style_names_a_similar_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"look:xyzzy is not known; gan translate --list-looks"):
        make_style("xyzzy")
    with pytest.raises(UserError, match=r"look:flim is not known; did you mean film\?$"):
        make_style("flim")
    monkeypatch.setitem(sys.modules, "pilgram", None)
    with pytest.raises(UserError, match=r"look:1977 .*pip install 'retro-gan\[styles\]'"):
        make_style(["sepia", "1977"])


def test_the_vignette_darkens_the_corners_by_55_percent() -> None:
    light = vignette(np.ones((101, 101, 3), np.float32))
    assert light[50, 50] == pytest.approx(1) and light[0, 0] == pytest.approx(0.45)


@pytest.mark.parametrize("amount", [0.0, 0.15, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("degrees", [0, 15, 45])
def test_halftone_coverage(amount: float, degrees: float) -> None:
    covered = screen(np.full((240, 240), amount), degrees, 8.0)
    assert covered.mean() == pytest.approx(amount, abs=0.04)


def test_inks_and_palettes_are_kept() -> None:
    def colors(image: np.ndarray) -> set[tuple[int, ...]]:
        return {tuple(each) for each in image.reshape(-1, 3).tolist()}

    def inks(words: str) -> set[tuple[int, ...]]:
        return {tuple(each) for each in np.rint(255 * palette(words)).astype(int).tolist()}

    poster = colors(make_style("poster")(picture(), 0))
    assert 4 <= len(poster) <= 6 and poster <= inks(POSTER_INKS)
    art = make_style("pixel_art")(picture(96, 144), 0)
    assert colors(art) <= inks(COLORS["pico8"])
    assert np.array_equal(art, art[::2, ::2].repeat(2, 0).repeat(2, 1))


def test_kuwahara_against_a_plain_loop() -> None:
    light, radius = picture(16, 20).astype(np.float32) / 255, 2
    padded = np.pad(light, ((4, 4), (4, 4), (0, 0)), "edge").astype(np.float64)
    for y, x in ((0, 0), (5, 7), (15, 19)):
        quarters = [
            padded[y + 4 + dy : y + 4 + dy + 5, x + 4 + dx : x + 4 + dx + 5].reshape(-1, 3)
            for dy in (-4, 0)
            for dx in (-4, 0)
        ]
        best = min(quarters, key=lambda quarter: quarter.var(0).sum())
        assert kuwahara(light, radius)[y, x] == pytest.approx(best.mean(0), abs=1e-5)


# ---- parameters


def test_parameters_go_to_the_filters_that_have_them() -> None:
    assert filter_names("film:vignette=0.3") == ["sepia", "fade", "vignette:vignette=0.3"]
    assert filter_names("film", {"vignette": 0.3, "fade": 0}) == ["sepia", "fade:fade=0", "vignette:vignette=0.3"]
    assert filter_names(["halftone:cell=6", "pixels"], {"cell": 8}) == ["halftone:cell=8", "pixels:cell=8"]
    assert filter_names(filter_names("halftone", {"cell": 6.5, "angle": -10})) == ["halftone:cell=6.5:angle=-10"]
    assert filter_names("halftone", {"cell": 0, "angle": 0.0}) == ["halftone"]  # the defaults


@pytest.mark.parametrize(
    ("style", "settings", "message"),
    [
        ("film", {"vignete": 1}, r"--set vignete: there is no such parameter; did you mean vignette\?"),
        ("film", {"fade": 1.5}, "--set fade=1.5: give a number from 0 to 1"),
        ("poster", {"inks": 2.5}, "--set inks=2.5: give a whole number from 2 to 6"),
        ("halftone:cell=inf", {}, "halftone:cell=inf: write NAME=VALUE"),
    ],
)
def test_wrong_parameters(style: str, settings: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        filter_names(style, settings)


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n == "woodcut")) for n in FILTERS])
def test_each_parameter_changes_the_image(name: str) -> None:
    image = draw(0, 2, 48, 64)
    before = make_style(name)(image, 0)
    for parameter, about in parameters_of(FILTERS[name]).items():
        assert about.low <= about.default <= about.high and about.help
        for value in (about.low, about.high):
            if value != about.default:
                after = make_style(filter_names(name, {parameter: value}))(image, 0)
                assert after.shape == before.shape and not np.array_equal(after, before), (parameter, value)
        explicit = make_style(filter_names(name, {parameter: about.default}))
        assert np.array_equal(explicit(image, 0), before)


def test_a_filter_has_each_of_its_parameters_in_the_listing() -> None:
    lines = listing().splitlines()
    assert "halftone: four-color print: dots of cyan, magenta, yellow and black" in lines
    assert sum(line.startswith("    vignette=0.55  light that the corners lose (0 to 1)") for line in lines) == 3
