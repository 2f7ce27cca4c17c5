"""The warping error of frames with a known motion."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gan.data.builtin.retro import draw
from gan.metrics.flicker import flicker, pan
from gan.utils.errors import UserError

SHIFTS = [(0, 3), (2, -4), (-1, 0)]


def moving() -> tuple[Tensor, Tensor]:
    """Return frames of a camera that moves over an image, and the motion of their content."""
    image = torch.from_numpy(draw(0, 2, 96, 120).copy()).permute(2, 0, 1)
    places = [(10, 10)]
    for down, across in SHIFTS:
        places.append((places[-1][0] - down, places[-1][1] - across))
    return torch.stack([image[:, top : top + 64, left : left + 80] for top, left in places]), torch.tensor(SHIFTS)


def noise(frames: Tensor, same: bool, deviation: float = 10) -> Tensor:
    random = torch.Generator().manual_seed(0)
    shape = frames.shape[1:] if same else frames.shape
    noise = deviation * torch.randn(shape, generator=random)
    return (frames.float() * 0.5 + 64 + noise).round().clamp(0, 255).to(torch.uint8)


def test_motion_is_compensated() -> None:
    frames, motion = moving()
    assert flicker(frames, frames, motion) == 0
    assert flicker(frames, 255 - frames, motion) == 0
    assert flicker(frames, frames, torch.zeros_like(motion)) > 0
    assert torch.equal(pan(frames), motion)


def test_noise_counts_by_its_deviation() -> None:
    frames, motion = moving()
    assert flicker(frames, noise(frames, same=False), motion) == pytest.approx(200**0.5, rel=0.05)
    still = frames[:1].expand(4, -1, -1, -1)
    assert flicker(still, noise(still, same=False)) == pytest.approx(200**0.5, rel=0.05)
    assert flicker(still, noise(still, same=True)) == 0


def test_what_changes_in_the_original_does_not_count() -> None:
    before = torch.full((2, 3, 8, 8), 100, dtype=torch.uint8)
    after = before.clone()
    before[1, :, :4], after[1, :, :4] = 200, 200
    assert flicker(before, after) == 0
    after[1, 0, 4:] += 6  # one channel of three
    assert flicker(before, after) == pytest.approx((36 / 3) ** 0.5)


def test_frames_that_cannot_be_compared() -> None:
    frames, _ = moving()
    with pytest.raises(UserError, match="give two or more frames"):
        flicker(frames[:1], frames[:1])
    with pytest.raises(UserError, match="give two or more frames"):
        flicker(frames, frames[:, :, :-1])
    black = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    black[1] = 255
    assert math.isnan(flicker(black, black))  # no pixel stays unchanged
