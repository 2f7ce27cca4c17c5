"""What filters share: luminance, blurs, means, palettes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from PIL import Image

from gan.data.builtin.shapes import inks
from gan.data.styles.filter import FloatImage

BAND = 64  # rows
CACHED = 1 << 15  # pixels that stay in the cache of the processor while they are used
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


def bands(height: int) -> Iterator[slice]:
    """Yield bands of rows. What is computed in bands needs little memory."""
    for top in range(0, height, BAND):
        yield slice(top, min(top + BAND, height))


def blurred(image: np.ndarray, radius: float) -> FloatImage:
    """Gaussian blur of (H, W, C); `radius` is the standard deviation in pixels."""
    reach = int(np.ceil(3 * radius))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=np.float32) / radius) ** 2)
    weights = weights / weights.sum()
    across = blur_columns(blur_columns(image, weights).swapaxes(0, 1), weights)
    return np.ascontiguousarray(across.swapaxes(0, 1))


def blur_columns(image: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Correlate each column of (H, W, C) with weights. Blocks of columns stay in the cache of the processor."""
    reach, height = len(weights) // 2, image.shape[0]
    result = np.empty_like(image, order="C")
    step = max(1, CACHED // (height + 2 * reach))
    for left in range(0, image.shape[1], step):
        padded = np.pad(image[:, left : left + step], ((reach, reach), (0, 0), (0, 0)), "edge")
        total = weights[0] * padded[:height]
        for tap in range(1, len(weights)):
            total += weights[tap] * padded[tap : tap + height]
        result[:, left : left + step] = total
    return result


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
