"""Photographs: film, its grain, and cyanotypes.

Film grain is an autoregressive model, with a strength that depends on the intensity, as in the AV1 video codec:
Norkin and Birkbeck, "Film Grain Synthesis for AV1 Video Codec", 2018 (DCC). A template of grain is white noise through
an autoregressive filter of lag 3; blocks of 32 x 32 pixels at random places of the template, which overlap by two
pixels, cover the image; and a piecewise linear function of the intensity scales the grain. AV1 estimates the
coefficients from a film and its denoised version by the normal equations. Here they solve the same equations for a
Gaussian correlation of a given size.

A cyanotype is a photograph in Prussian blue on paper that was coated by brush: Herschel, "On the Action of the Rays of
the Solar Spectrum on Vegetable Colours", 1842; Ware, "Cyanomicon", 2014, for the process, its tone curve and its color.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from gan.looks.fields import (
    FloatImage,
    Range,
    blurred,
    clipped,
    edge,
    equalized,
    luminance,
    mixed,
    noise,
    resample_up,
    shorter_side,
    smooth,
    toned,
)
from gan.utils.colors import YCC


def sepia(image: FloatImage, sepia: Annotated[float, Range(0, 1, "amount of toning")] = 1) -> FloatImage:
    """Sepia toning: luminance mapped from dark brown to warm white."""
    tones = np.array([(0.13, 0.08, 0.05), (0.58, 0.45, 0.32), (0.98, 0.93, 0.82)])
    return mixed(image, toned(luminance(image), tones).astype(np.float32), sepia)


def fade(image: FloatImage, fade: Annotated[float, Range(0, 1, "amount of fading")] = 1) -> FloatImage:
    """Return a faded color print: lifted, brown blacks and dimmed, yellowish whites."""
    low, high = np.array([0.16, 0.12, 0.11], np.float32), np.array([0.95, 0.90, 0.78], np.float32)
    return mixed(image, low + image * (high - low), fade)


def vignette(
    image: FloatImage, vignette: Annotated[float, Range(0, 1, "light that the corners lose")] = 0.55
) -> FloatImage:
    """Vignetting: the corners get less light than the center."""
    y, x = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    return image * (1 - vignette * ((x**2 + y**2) / 2) ** 1.25)[..., None].astype(np.float32)


def grain(
    image: FloatImage,
    rng: np.random.Generator,
    grain: Annotated[float, Range(0, 0.5, "standard deviation in midtones")] = 0.07,
    grain_size: Annotated[float, Range(0, 50, "radius in pixels; 0: an 800th of the shorter side, at least 0.5")] = 0,
) -> FloatImage:
    """Film grain: gray noise with a scale of one pixel or a 400th of the side, strongest in midtones."""
    height, width = image.shape[:2]
    radius = grain_size or max(0.5, shorter_side(image.shape) / 800)
    noise = blurred(rng.standard_normal((height, width, 1), np.float32), radius)
    middle = luminance(image)[..., None]
    return clipped(image + grain * noise / noise.std() * np.sqrt(np.maximum(4 * middle * (1 - middle), 0.1)))


LAG = 3
MAX_TEMPLATE = 1024  # pixels of a side of the enlarged template
TEMPLATE, BLOCK, OVERLAP = 128, 32, 2  # pixels; AV1 has a template of 64, whose repetition shows in still images
MARGIN = 16  # pixels in which the filter settles
LARGEST = 1.1  # largest grain of a filter of lag 3, in pixels; larger grain is an enlarged template
INTENSITIES = (0.0, 0.2, 0.5, 0.8, 1.0)  # the points of the scaling function
TO_YCC = np.array(YCC, np.float32)
FROM_YCC = np.linalg.inv(TO_YCC).astype(np.float32)


def film_grain(
    image: FloatImage,
    rng: np.random.Generator,
    grain: Annotated[float, Range(0, 0.5, "standard deviation in midtones")] = 0.06,
    grain_size: Annotated[float, Range(0, 20, "radius in pixels; 0: a 1600th of the shorter side, at least 0.7")] = 0,
    shadows: Annotated[float, Range(0, 2, "grain in shadows, relative to midtones")] = 0.9,
    highlights: Annotated[float, Range(0, 2, "grain in highlights, relative to midtones")] = 0.6,
    grain_color: Annotated[float, Range(0, 1, "grain in the colors, relative to luminance")] = 0.35,
) -> FloatImage:
    """Film grain by an autoregressive model (AV1), with a strength that depends on the intensity."""
    size = grain_size or max(0.7, shorter_side(image.shape) / 1600)
    points = (0.4 * shadows, shadows, 1.0, highlights, 0.3 * highlights)
    channels = image @ TO_YCC.T
    scale = grain * np.interp(channels[..., 0], INTENSITIES, points).astype(np.float32)
    weights = (1.0, grain_color, grain_color)
    for channel, weight in enumerate(weights):
        if weight:
            channels[..., channel] += weight * scale * tiled(template(rng, size), image.shape[:2], rng)
    return clipped(channels @ FROM_YCC.T)


def template(rng: np.random.Generator, size: float) -> np.ndarray:
    """Return a square of grain with standard deviation 1, float32.

    Args:
        size: standard deviation of the Gaussian that white noise would be blurred with, in pixels.
    """
    from scipy.signal import lfilter  # half a second, and looks without grain do not need it

    weights = coefficients(min(size, LARGEST))
    field = rng.standard_normal((TEMPLATE + MARGIN, TEMPLATE + 2 * MARGIN))
    recursion = np.concatenate([[1.0], -weights[LAG, :LAG][::-1]])
    for row in range(LAG, len(field)):
        above = sum(
            np.convolve(field[row - LAG + lag], weights[lag][::-1], "same") for lag in range(LAG)
        )  # correlation with the rows above
        field[row] = lfilter([1.0], recursion, field[row] + above)
    field = field[MARGIN:, MARGIN:-MARGIN]
    if size > LARGEST:
        part = min(TEMPLATE, round(MAX_TEMPLATE * LARGEST / size))
        side = round(part * size / LARGEST)
        field = resample_up(field[:part, :part], (side, side))
    return ((field - field.mean()) / field.std()).astype(np.float32)


def coefficients(size: float) -> np.ndarray:
    """Return the weights (4, 7) of the pixels above and to the left, which predict a pixel; those after it are 0.

    They solve the normal equations for the correlation exp(-d^2 / (4 size^2)) at the distance d.
    """
    rows, columns = np.divmod(np.arange(LAG * (2 * LAG + 1) + LAG), 2 * LAG + 1)
    places = np.stack([rows - LAG, columns - LAG], 1).astype(float)  # (24, 2), relative to the pixel
    squares = ((places[:, None] - places[None]) ** 2).sum(-1)
    correlation = np.exp(-squares / (4 * size**2)) + 0.02 * np.eye(len(places))  # the filter must be stable
    target = np.exp(-(places**2).sum(-1) / (4 * size**2))
    weights = np.zeros((LAG + 1) * (2 * LAG + 1))
    weights[: len(places)] = np.linalg.solve(correlation, target)
    return weights.reshape(LAG + 1, 2 * LAG + 1)


def tiled(grain: np.ndarray, shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Cover an image (H, W) with blocks at random places of a template. Overlapping blocks are blended."""
    down, across = (-(-side // BLOCK) for side in shape)
    side = BLOCK + OVERLAP
    top, left = rng.integers(0, len(grain) - side + 1, (2, down, across))
    span = np.arange(side)
    blocks = grain[(top[..., None] + span)[..., :, None], (left[..., None] + span)[..., None, :]]  # (d, a, 34, 34)
    window = np.ones(side, np.float32)
    window[:OVERLAP], window[-OVERLAP:] = np.array([17, 27]) / 32, np.array([27, 17]) / 32  # of AV1; squares sum to 1
    blocks = blocks * window[:, None] * window
    page = np.zeros((down, BLOCK, across, BLOCK), np.float32)
    page += blocks[..., :BLOCK, :BLOCK].transpose(0, 2, 1, 3)
    page[:, :, 1:, :OVERLAP] += blocks[:, :-1, :BLOCK, BLOCK:].transpose(0, 2, 1, 3)
    page[1:, :OVERLAP] += blocks[:-1, :, BLOCK:, :BLOCK].transpose(0, 2, 1, 3)
    page[1:, :OVERLAP, 1:, :OVERLAP] += blocks[:-1, :-1, BLOCK:, BLOCK:].transpose(0, 2, 1, 3)
    return page.reshape(down * BLOCK, across * BLOCK)[: shape[0], : shape[1]]


PAPER = np.array([0.955, 0.945, 0.905], np.float32)
ABSORPTION = np.array([3.1, 1.95, 1.0], np.float32)  # of the densest blue: -ln of its reflectance, per channel


def prussian_blue(
    image: FloatImage,
    contrast: Annotated[float, Range(0.3, 3, "contrast of the tone curve")] = 1.15,
    density: Annotated[float, Range(0.2, 1.5, "density of the darkest blue")] = 1,
) -> FloatImage:
    """Prussian blue on paper: the amount of pigment is a curve of luminance, and absorbs red most."""
    gray = luminance(image).astype(np.float32)
    gray = 0.7 * gray + 0.3 * equalized(gray).astype(np.float32)  # as a negative made for the process
    gray = gray + 0.35 * (gray - smooth(gray, shorter_side(gray.shape) / 90))  # contact prints are sharp
    dark = np.clip(1 - gray, 0, 1)
    pigment = density * dark**contrast / (dark**contrast + 0.55 * (1 - dark) ** contrast + 1e-6)
    return clipped(PAPER * np.exp(-pigment[..., None] * ABSORPTION))


def brushed_edge(
    image: FloatImage,
    rng: np.random.Generator,
    edge_width: Annotated[
        float, Range(0, 0.3, "bare paper around the coating, as a fraction of the shorter side")
    ] = 0.035,
    strokes: Annotated[float, Range(0, 3, "unevenness of the coating")] = 1,
) -> FloatImage:
    """Paper coated by brush: the image ends in irregular strokes, and the coating is uneven."""
    height, width = image.shape[:2]
    side = shorter_side(image.shape)
    y, x = np.mgrid[:height, :width].astype(np.float32)
    scales = ((50, 2), (150, 3), (400, 4))  # down and across, as fractions of the side: the brush moves horizontally
    bristles = sum(noise(rng, (height, width), (side / a, side / b)) for a, b in scales) / np.float32(3**0.5)
    waves = noise(rng, (height, width), side / 8)
    across, down = np.minimum(x, width - 1 - x), np.minimum(y, height - 1 - y)
    ends, borders = across / side + 0.012 * bristles + 0.010 * waves, down / side + 0.004 * bristles + 0.012 * waves
    depth = np.minimum(ends, borders) - edge_width
    coated = edge(depth * side, 1) * np.clip(0.45 + 0.55 * depth / 0.012 + 0.3 * bristles, 0, 1)
    uneven = 1 - strokes * (0.025 * bristles + 0.03 * np.abs(waves))
    pigment = -np.log(np.maximum(image / PAPER, 0.02)) * (uneven * (coated if edge_width else 1))[..., None]
    return clipped(PAPER * np.exp(-pigment))
