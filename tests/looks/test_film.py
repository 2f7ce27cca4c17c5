"""Film grain: correlation, strength by intensity, blocks without seams; cyanotype: one pigment, a brushed edge."""

import numpy as np
import pytest

from gan.looks.fields import luminance
from gan.looks.film import ABSORPTION, BLOCK, PAPER, brushed_edge, film_grain, prussian_blue, template, tiled


@pytest.mark.parametrize("size", [0.6, 1.0, 3.0])
def test_the_autoregressive_model_has_the_correlation_of_its_size(size: float) -> None:
    grain = template(np.random.default_rng(0), size)
    for distance in (1, 2, 3):
        wanted = np.exp(-(distance**2) / (4 * size**2))
        for a, b in ((grain[distance:], grain[:-distance]), (grain[:, distance:], grain[:, :-distance])):
            assert (a * b).mean() == pytest.approx(wanted, abs=0.09)


def test_blocks_have_no_seams() -> None:
    page = tiled(template(np.random.default_rng(0), 1.0), (700, 900), np.random.default_rng(1))
    assert page.std() == pytest.approx(1, abs=0.05)
    steps = np.abs(np.diff(page, axis=1)).mean(0)
    across = steps[BLOCK - 1 :: BLOCK].mean()  # from the last column of a block to the first of the next
    assert across == pytest.approx(steps.mean(), rel=0.25)
    assert abs((page[:, :32] * page[:, 320:352]).mean()) < 0.1  # the template does not repeat at a fixed distance


def test_the_strength_follows_the_intensity() -> None:
    def strength(level: float, **settings: float) -> float:
        flat = np.full((128, 128, 3), level, np.float32)
        return float(luminance(film_grain(flat, np.random.default_rng(0), **settings)).std())

    assert strength(0.5) == pytest.approx(0.06, rel=0.1)
    assert strength(0.2) == pytest.approx(0.9 * 0.06, rel=0.1) and strength(0.8) == pytest.approx(0.6 * 0.06, rel=0.1)
    assert strength(0.2, shadows=0) < 0.001 and strength(0.5, grain=0.1) == pytest.approx(0.1, rel=0.1)


def test_the_pigment_absorbs_red_most_and_follows_luminance() -> None:
    ramp = np.tile(np.linspace(0, 1, 200, dtype=np.float32)[None, :, None], (80, 1, 3))
    after = prussian_blue(ramp)[40]
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
