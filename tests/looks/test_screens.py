"""VHS: bandwidth and delay of the colors, faults of the tape."""

import numpy as np
import pytest

from gan.looks.screens import LINE, TO_YIQ, vhs_signal, vhs_tape


def width_of(step: np.ndarray) -> float:
    """Return the standard deviation of the derivative of a step, in pixels."""
    slope = np.abs(np.diff(step))
    place = np.arange(len(slope))
    mean = (slope * place).sum() / slope.sum()
    return float(np.sqrt((slope * (place - mean) ** 2).sum() / slope.sum()))


def test_colors_are_wider_and_later_than_luminance() -> None:
    image = np.full((32, 640, 3), 0.3, np.float32)
    image[:, 320:, 0] = 0.7  # a step in luminance and in I
    after = vhs_signal(image, sharpening=0)
    channels = (after @ TO_YIQ.T)[16]
    assert width_of(channels[:, 1]) > 4 * width_of(channels[:, 0])
    middle = [np.abs(channels[:, c] - channels[[100, 540], c].mean()).argmin() for c in (0, 1)]
    assert middle[1] - middle[0] == pytest.approx(0.5 * 640 / LINE, abs=2)
    twice = vhs_signal(image, sharpening=0, bandwidth=2) @ TO_YIQ.T
    assert width_of(twice[16, :, 1]) == pytest.approx(width_of(channels[:, 1]) / 2, rel=0.1)


def test_only_the_last_lines_are_torn() -> None:
    image = np.tile(np.linspace(0.2, 0.8, 320, dtype=np.float32)[None, :, None], (240, 1, 3))
    off = {"tape_noise": 0, "jitter": 0, "dropouts": 0}
    after = vhs_tape(image, np.random.default_rng(0), **off)
    assert np.abs(after[:220] - image[:220]).max() < 1e-3 and np.abs(after[-3:] - image[-3:]).mean() > 0.005
    whole = vhs_tape(image, np.random.default_rng(0), **off, head_switching=0)
    assert np.abs(whole - image).max() < 1e-3


def test_noise_and_dropouts() -> None:
    image = np.full((480, 640, 3), 0.5, np.float32)
    rest = {"jitter": 0, "head_switching": 0}
    noisy = vhs_tape(image, np.random.default_rng(0), tape_noise=0.05, dropouts=0, **rest) @ TO_YIQ.T
    assert noisy[..., 0].std() == pytest.approx(0.05, rel=0.1)
    luma = noisy[..., 0] - 0.5
    assert (luma[:, 1:] * luma[:, :-1]).mean() > 0.2 * luma.var() > 5 * abs((luma[1:] * luma[:-1]).mean())
    streaks = vhs_tape(image, np.random.default_rng(0), tape_noise=0, dropouts=20, **rest)
    assert 5 <= (streaks > 0.7).any((1, 2)).sum() <= 40
