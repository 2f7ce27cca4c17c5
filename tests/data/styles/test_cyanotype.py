"""Cyanotype: one pigment on paper, ordered by luminance, with a brushed edge."""

import numpy as np
import pytest

from gan.data.styles.film import ABSORPTION, PAPER, brushed_edge, prussian_blue


def test_the_pigment_absorbs_red_most_and_follows_luminance() -> None:
    ramp = np.tile(np.linspace(0, 1, 200, dtype=np.float32)[None, :, None], (80, 1, 3))
    after = prussian_blue(ramp, np.random.default_rng(0))[40]
    assert (np.diff(after[20:-20], axis=0) > -1e-3).all() and after[-1] == pytest.approx(PAPER, abs=0.02)
    density = -np.log(after[10] / PAPER)
    assert density / density[0] == pytest.approx(ABSORPTION / ABSORPTION[0], rel=0.01)


def test_the_edge_is_bare_paper() -> None:
    blue = np.full((200, 300, 3), PAPER * np.exp(-ABSORPTION), np.float32)
    after = brushed_edge(blue, np.random.default_rng(0), edge_width=0.1)
    border = np.concatenate([after[0], after[-1], after[:, 0], after[:, -1]])
    assert np.abs(border - PAPER).max() < 0.01
    assert np.abs(after[60:140, 80:220] - blue[60:140, 80:220]).max() < 0.15
    assert np.abs(brushed_edge(blue, np.random.default_rng(0), edge_width=0, strokes=0) - blue).max() < 0.01
