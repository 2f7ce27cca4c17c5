"""What filters share: parameters, luminance, palettes, blurs of any radius, noise, and fields at another resolution.

Lines, plates and stains are computed as smooth fields at a moderate resolution, enlarged, and only then thresholded.
So their edges are sharp at any size, and a photograph of 12 megapixels takes seconds.
"""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from gan.looks import is_table
from gan.settings import Setting
from gan.utils.colors import LUMA, inks
from gan.utils.errors import UserError, did_you_mean
from gan.utils.option_values import parse_assignments
from gan.utils.seamless import size_of
from gan.utils.video_state import mean_over_frames

# ---- a filter, and its parameters, which users type as `halftone:cell=6:angle=30`, or as `--set cell=6 angle=30`

FloatImage = np.ndarray  # (H, W, 3), float32 in 0..1
# An image and, if the filter is random, a generator `rng` -> an image. Parameters with defaults follow, each as
# Annotated[float, Range(...)].
Filter = Callable[..., FloatImage]


class Range(NamedTuple):
    """The allowed values of a parameter, and what it means."""

    low: float
    high: float
    about: str


@dataclass(frozen=True)
class Parameter(Setting):
    """A parameter of a filter."""

    low: float = 0
    high: float = 1


@cache
def parameters_of(function: Filter) -> dict[str, Parameter]:
    """Return the parameters of a filter by name: those whose annotation has a Range."""
    hints: dict[str, Any] = typing.get_type_hints(function, include_extras=True)
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        for extra in getattr(hints.get(name), "__metadata__", ()):
            if isinstance(extra, Range):
                whole = hints[name].__origin__ is int
                found[name] = Parameter(name, extra.about, parameter.default, extra.low, extra.high, whole)
    return found


Parameters = Mapping[str, float]
EXAMPLE = "cell=6"  # for messages


def split_word(word: str) -> tuple[str, dict[str, float]]:
    """Return the name and the parameters of a word such as `halftone:cell=6`. The name of a file has no parameters."""
    if is_table(word):
        return word, {}
    name, *parts = word.split(":")
    return name, parse_assignments(parts, EXAMPLE, f"{name}:")


def to_word(name: str, parameters: Parameters) -> str:
    return ":".join([name, *(f"{key}={shown(value)}" for key, value in parameters.items())])


def checked_parameters(
    filters: Mapping[str, Filter], parameters: Parameters, where: str
) -> dict[str, dict[str, float]]:
    """Return the parameters of each of some filters by name, without those that equal the default.

    A parameter that several filters have applies to each of them.

    Args:
        where: what the user typed the parameters into, for messages.
    """
    of_filters = {name: parameters_of(function) for name, function in filters.items()}
    known = {name: parameter for own in of_filters.values() for name, parameter in own.items()}
    for name, value in parameters.items():
        if name not in known:
            hint = f"{did_you_mean(name, known, '', n=1)} the parameters are {', '.join(known) or 'none'}".lstrip()
            raise UserError(f"{where} {name}: there is no such parameter; {hint}")
        known[name].check(value, f"{where} {name}=")
    return {
        filter: {name: value for name, value in parameters.items() if name in own and value != own[name].default}
        for filter, own in of_filters.items()
    }


def shown(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))


# ---- fields

BAND = 64  # rows
LUMINANCE = np.array(LUMA, np.float32)


def luminance(image: FloatImage) -> np.ndarray:
    """Return the luminance (H, W) of an image (H, W, 3)."""
    return np.asarray(image @ LUMINANCE)


def clipped(image: np.ndarray) -> FloatImage:
    return np.asarray(image.clip(0, 1), np.float32)


def toned(luminance: np.ndarray, tones: np.ndarray) -> np.ndarray:
    """Map luminance (H, W) in 0..1 to (H, W, 3), interpolated between colors of shadows, midtones and highlights."""
    return np.stack([np.interp(luminance, (0, 0.5, 1), tone) for tone in np.transpose(tones)], axis=-1)


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
    return np.asarray(gaussian_filter(image, (radius, radius, 0), mode="nearest", radius=(reach, reach, 0)))


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize (H, W, C) to (height, width) with a box filter."""
    return np.stack([resize(channel, size, Image.Resampling.BOX) for channel in np.moveaxis(image, -1, 0)], -1)


def resize(field: np.ndarray, size: tuple[int, int], kernel: Image.Resampling) -> np.ndarray:
    """Return a field (H, W), uint8 or float32, at another size (height, width)."""
    return np.asarray(Image.fromarray(np.ascontiguousarray(field)).resize(size[::-1], kernel))


def equalized(values: np.ndarray) -> np.ndarray:
    """Return the rank of each value, scaled to 0..1 (histogram equalization)."""
    order = mean_over_frames(np.sort(values.ravel()))  # which has the mean of the quantiles
    return np.asarray(np.searchsorted(order, values, "right") / order.size)


def box_mean(image: np.ndarray, radius: int) -> np.ndarray:
    """Box filter of side 2 radius + 1, without padding: (H, W, C) -> (H - 2 radius, W - 2 radius, C), float64."""
    side = 2 * radius + 1
    sums = np.pad(image.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    return (sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]) / side**2


DIRECT = 4.0  # pixels; a blur with a larger standard deviation works on a reduced field


def smooth(field: np.ndarray, radius: float) -> np.ndarray:
    """Gaussian blur of a field (H, W), float32; `radius` is the standard deviation in pixels."""
    height, width = field.shape
    factor = int(2 * radius / DIRECT)
    if factor < 2 or min(height, width) < 4 * factor:
        return np.asarray(gaussian_filter(field.astype(np.float32), radius, mode="nearest"))
    small = resample(field, (-(-height // factor), -(-width // factor)))
    scale = small.shape[0] / height, small.shape[1] / width
    blurred = gaussian_filter(small, (radius * scale[0], radius * scale[1]), mode="nearest")
    return resample(np.asarray(blurred), (height, width))


def resample(field: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return a field (H, W) at another size (height, width), float32: the mean where it shrinks, else bicubic."""
    field = field.astype(np.float32)
    kernel = Image.Resampling.BOX if size[0] < field.shape[0] else Image.Resampling.BICUBIC
    return field if field.shape == size else resize(field, size, kernel)


def shorter_side(shape: tuple[int, ...]) -> int:
    """Return the side in pixels of an image (H, W, ...) that lengths are fractions of."""
    return min(size_of(shape))


def size_within(shape: tuple[int, ...], side: float) -> tuple[int, int]:
    """Return (height, width) scaled so that the shorter side has at most `side` pixels."""
    scale = min(1.0, side / shorter_side(shape))
    return max(1, round(shape[0] * scale)), max(1, round(shape[1] * scale))


def noise(rng: np.random.Generator, shape: tuple[int, int], radius: float | tuple[float, float]) -> np.ndarray:
    """Return Gaussian noise (H, W) with mean 0 and standard deviation 1, float32.

    It is generated on a lattice of about one point a radius, which is in pixels, of both axes or of each.
    """
    down, across = (radius, radius) if isinstance(radius, int | float) else radius
    lattice = max(2, round(shape[0] / max(down, 1)) + 1), max(2, round(shape[1] / max(across, 1)) + 1)
    field = resample_up(rng.standard_normal(lattice, np.float32), shape)
    return (field - field.mean()) / max(float(field.std()), 1e-6)


def resample_up(field: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Bicubic interpolation of each axis, also where one of them shrinks."""
    return resize(field.astype(np.float32), size, Image.Resampling.BICUBIC)


def edge(field: np.ndarray, slope: float) -> np.ndarray:
    """Return 1 where a field that changes by 1 in `slope` pixels is positive, else 0; the edge is one pixel wide."""
    return np.clip(field * slope + 0.5, 0, 1).astype(np.float32)


def positive(field: np.ndarray) -> np.ndarray:
    """Return 1 where a field is positive and 0 where it is negative, with an edge one pixel wide everywhere."""
    slope = np.hypot(*np.gradient(field)) if min(field.shape) > 1 else 1.0
    return np.clip(field / np.maximum(slope, 1e-6) + 0.5, 0, 1).astype(np.float32)
