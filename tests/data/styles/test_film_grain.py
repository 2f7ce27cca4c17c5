"""The grain of AV1: correlation, strength by intensity, blocks without seams."""

import numpy as np
import pytest

from gan.data.styles.fields import luminance
from gan.data.styles.film import BLOCK, film_grain, template, tiled


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


def test_grain_without_color_is_gray() -> None:
    flat = np.full((64, 64, 3), 0.5, np.float32)
    gray = film_grain(flat, np.random.default_rng(0), grain_color=0)
    assert np.ptp(gray, axis=-1).max() < 1e-5
    assert np.ptp(film_grain(flat, np.random.default_rng(0)), axis=-1).mean() > 0.01
