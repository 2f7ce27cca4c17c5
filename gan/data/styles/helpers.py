"""What filters share: luminance, blurs, means, palettes."""

from __future__ import annotations

import numpy as np
from PIL import Image

from gan.data.builtin.shapes import inks
from gan.data.styles.filter import FloatImage

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # weights of red, green and blue (ITU-R BT.601)


def luminance(image: FloatImage) -> np.ndarray:
    """Return the luminance (H, W) of an image (H, W, 3)."""
    return np.asarray(image @ LUMINANCE)


def clipped(image: np.ndarray) -> FloatImage:
    return np.asarray(image.clip(0, 1), np.float32)


def mixed(before: FloatImage, after: FloatImage, amount: float) -> FloatImage:
    """Interpolate: 0 is `before`, 1 is `after`, bit for bit."""
    return after if amount == 1 else before + np.float32(amount) * (after - before)


def palette(words: str) -> np.ndarray:
    """Return the colors of hexadecimal words, (colors, 3) in 0..1."""
    return np.array(inks(words), np.float32) / 255


def blurred(image: np.ndarray, radius: float) -> FloatImage:
    """Gaussian blur of (H, W, C); `radius` is the standard deviation in pixels."""
    reach = int(np.ceil(3 * radius))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=np.float32) / radius) ** 2)
    for axis in (0, 1):
        padding = [(reach, reach) if each == axis else (0, 0) for each in range(3)]
        padded, length = np.pad(image, padding, "edge"), image.shape[axis]
        shifted = (np.take(padded, range(tap, tap + length), axis) for tap in range(2 * reach + 1))
        image = sum(weight * each for weight, each in zip(weights / weights.sum(), shifted, strict=True))
    return image


def resized(image: FloatImage, size: tuple[int, int]) -> FloatImage:
    """Resize to (height, width) with a box filter."""
    channels = [Image.fromarray(np.ascontiguousarray(channel)) for channel in np.moveaxis(image, -1, 0)]
    return np.stack([np.asarray(channel.resize(size[::-1], Image.Resampling.BOX)) for channel in channels], -1)


def equalized(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value, scaled to 0..1 (histogram equalization)."""
    order = np.sort(values.ravel())
    return np.asarray(np.searchsorted(order, values, "right") / order.size)


def box_mean(image: np.ndarray, radius: int) -> np.ndarray:
    """Box filter of side 2 radius + 1, without padding: (H, W, C) -> (H - 2 radius, W - 2 radius, C), float64."""
    side = 2 * radius + 1
    sums = np.pad(image.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    return (sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]) / side**2
