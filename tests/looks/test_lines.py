"""Engraving and woodcut: lines have the distance, direction and thickness that they should have."""

import numpy as np
import pytest

from gan.data.builtin.retro import draw
from gan.looks.fields import luminance, smooth
from gan.looks.lines import along, directions, distance, engraving, equal_tones, lines, stroke, woodcut


def grating(angle: float, cell: float = 8, side: int = 96) -> np.ndarray:
    y, x = np.mgrid[:side, :side]
    return (0.5 + 0.5 * np.cos(2 * np.pi / cell * (x * np.cos(angle) + y * np.sin(angle)))).astype(np.float32)


@pytest.mark.parametrize("angle", [0.1, 0.8, 1.6, 3.0])
def test_directions_of_a_grating(angle: float) -> None:
    found = directions(grating(angle), 6, preferred=1, weight=0)[20:-20, 20:-20]
    assert np.abs(np.angle(np.exp(2j * (found - angle)))).max() < 0.1


def test_lines_keep_their_distance_where_directions_turn() -> None:
    y, x = np.mgrid[-80:80, -80:80]
    angle = (np.arctan2(y, x) % np.pi).astype(np.float32)  # circles around the center
    wave = lines(angle, 6.0)
    crossings = np.diff(np.sign(wave[80, 90:]))  # along a radius
    assert (crossings != 0).sum() == pytest.approx(2 * 69 / 6, abs=2)
    ring = wave[(np.hypot(y, x) > 30) & (np.hypot(y, x) < 70)]
    assert np.abs(ring).mean() == pytest.approx(2 / np.pi, abs=0.05)  # full contrast: that of a cosine


@pytest.mark.parametrize("amount", [0.1, 0.35, 0.8])
def test_lines_cover_the_fraction_of_the_paper_that_they_should(amount: float) -> None:
    wave = lines(np.full((120, 120), 0.4, np.float32), 5.0)
    assert (distance(wave) < amount).mean() == pytest.approx(amount, abs=0.03)
    assert stroke(wave, np.full((240, 240), amount, np.float32), 10.0).mean() == pytest.approx(amount, abs=0.04)


def test_an_engraving_from_afar_is_the_photograph() -> None:
    image = draw(0, 2, 200, 256).astype(np.float32) / 255
    wanted = smooth(equal_tones(luminance(image), 0.35), 6)
    for hatching in (0, 55):
        print_ = engraving(image, hatching=hatching)
        seen = smooth(luminance(print_), 6)
        assert np.corrcoef(seen.ravel(), wanted.ravel())[0, 1] > 0.9
        assert luminance(print_).std() > 0.25  # of ink and paper


def test_a_woodcut_has_ink_and_paper_and_more_black_if_asked() -> None:
    image = draw(0, 2, 160, 200).astype(np.float32) / 255
    light, dark = (luminance(woodcut(image, black=black)) for black in (0.35, 0.65))
    assert light.mean() > dark.mean() + 0.1
    assert ((light < 0.2) | (light > 0.8)).mean() > 0.75


def test_smoothing_along_lines_keeps_them_and_across_would_not() -> None:
    image = grating(0.5)
    angle = np.full(image.shape, 0.5, np.float32)
    inner = slice(24, -24), slice(24, -24)
    assert along(image, angle, 8)[inner].std() > 0.9 * image[inner].std()
    assert along(image, angle + np.float32(np.pi / 2), 8)[inner].std() < 0.3 * image[inner].std()
