"""Prints in spot inks: overprints, separations, screens, registration."""

import numpy as np
import pytest

from gan.data.builtin.retro import draw
from gan.looks.fields import palette
from gan.looks.prints import (
    RISO_INKS,
    SCREEN_INKS,
    STOCK,
    drums,
    overprints,
    separate,
    stencils,
)


def test_overprints_multiply() -> None:
    plates, colors = overprints(palette("ffff00 00ffff"))
    rows = {tuple(plate.astype(int).tolist()): color for plate, color in zip(plates, colors, strict=True)}
    assert rows[(0, 0)] == pytest.approx(STOCK) and rows[(1, 0)] == pytest.approx([1, 1, 0], abs=1e-6)
    assert rows[(1, 1)] == pytest.approx([0, 1 / STOCK[1], 0], abs=1e-6)


def test_a_screen_print_has_the_colors_of_its_inks_over_each_other() -> None:
    image = draw(0, 2, 120, 160).astype(np.float32) / 255
    for inks in (2, 3, 4):
        page = stencils(image, inks=inks).reshape(-1, 3)
        _, allowed = overprints(palette(SCREEN_INKS))
        far = np.abs(page[:, None] - allowed).max(-1).min(1)
        assert (far < 0.01).mean() > 0.7  # the rest are edges
        used = np.unique(np.abs(page[far < 0.01, None] - allowed).max(-1).argmin(1))
        assert inks <= len(used) <= 2**inks


def test_inks_are_found_again() -> None:
    inks = palette(RISO_INKS)[[0, 1]]
    flat = np.stack([STOCK, inks[0], inks[1]])[None].astype(np.float32)
    amounts = separate(flat, inks)[0]
    assert amounts[0].max() < 0.1
    assert amounts[1, 0] > 0.6 > 0.2 > amounts[1, 1]
    assert amounts[2, 1] > 0.6 > 0.2 > amounts[2, 0]


def test_drums_are_misregistered_by_a_fraction_of_the_side() -> None:
    image = np.full((200, 200, 3), 0.97, np.float32)
    image[80:120, 80:120] = 0
    near, far = (drums(image, misregistration=amount) for amount in (0, 20))
    changed = np.abs(near - far).max(-1) > 0.2
    rows = np.flatnonzero(changed.any(1))
    assert 78 <= rows[0] <= 84 and 120 <= rows[-1] <= 125  # blue moves by 0.9 x 20 / 1000 x 200 pixels
