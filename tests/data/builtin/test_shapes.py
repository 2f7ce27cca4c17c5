"""The colors of the drawing tools."""

from __future__ import annotations

import numpy as np

from gan.data.builtin.shapes import inks, mix, vary


def test_inks_are_hexadecimal_words() -> None:
    assert inks("ff0000 00ff80") == [(255, 0, 0), (0, 255, 128)]


def test_mixing_goes_from_one_color_to_the_other() -> None:
    assert [mix((0, 100, 200), (100, 0, 200), amount) for amount in (0, 0.5, 1)] == [
        (0, 100, 200),
        (50, 50, 200),
        (100, 0, 200),
    ]


def test_varied_colors_stay_colors() -> None:
    varied = vary(np.random.default_rng(0), [(0, 128, 255)] * 50, 40)
    assert all(0 <= value <= 255 for color in varied for value in color)
    assert len(set(varied)) > 40
