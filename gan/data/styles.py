"""Retro styles for photographs, which are sequences of filters: the ground truth of data=retro_filter.

A filter maps an image (H, W, 3), float32 in 0..1, and a random generator to an image. Lengths are fractions of the
shorter side, so that an image has the same style at any size. Cells of prints and of pixel art are at least two pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from gan.common.errors import UserError
from gan.common.program import install
from gan.data.builtin.shapes import inks, toned

FloatImage = np.ndarray  # (H, W, 3), float32 in 0..1
Filter = Callable[[FloatImage, np.random.Generator], FloatImage]

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # weights of red, green and blue (ITU-R BT.601)
POSTER_INKS = "1b2a41 c8452f e9a03b 2f7f79 8fb7a8 f3e6c8"
PICO8 = (
    "000000 1d2b53 7e2553 008751 ab5236 5f574f c2c3c7 fff1e8 ff004d ffa300 ffec27 00e436 29adff 83769c ff77a8 ffccaa"
)


# ---- photographs and film


def sepia(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Sepia toning: luminance mapped from dark brown to warm white."""
    tones = np.array([(0.13, 0.08, 0.05), (0.58, 0.45, 0.32), (0.98, 0.93, 0.82)])
    return toned(luminance(image), tones).astype(np.float32)


def fade(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return a faded color print: lifted, brown blacks and dimmed, yellowish whites."""
    low, high = np.array([0.16, 0.12, 0.11], np.float32), np.array([0.95, 0.90, 0.78], np.float32)
    return low + image * (high - low)


def vignette(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Vignetting: the corners get 45 % of the light of the center."""
    y, x = np.mgrid[-1 : 1 : image.shape[0] * 1j, -1 : 1 : image.shape[1] * 1j]
    return image * (1 - 0.55 * ((x**2 + y**2) / 2) ** 1.25)[..., None].astype(np.float32)


def grain(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Film grain: gray noise with a scale of one pixel or a 400th of the side, strongest in midtones."""
    height, width = image.shape[:2]
    noise = blurred(rng.standard_normal((height, width, 1), np.float32), max(0.5, min(height, width) / 800))
    middle = luminance(image)[..., None]
    return clipped(image + 0.07 * noise / noise.std() * np.sqrt(np.maximum(4 * middle * (1 - middle), 0.1)))


# ---- prints and paint


def halftone(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Four-color halftone printing: a screen of dots for each ink, at the usual screen angles, on paper."""
    cyan, magenta, yellow = np.moveaxis(1 - image, -1, 0)
    black = np.minimum(np.minimum(cyan, magenta), yellow)
    cell = max(4.0, min(image.shape[:2]) / 64)  # pixels from dot to dot
    page = np.full_like(image, 1) * np.array([0.96, 0.93, 0.86], np.float32)
    for amount, degrees, ink in (
        (yellow - black, 0, (1.0, 0.87, 0.12)),
        (cyan - black, 15, (0.10, 0.62, 0.80)),
        (magenta - black, 75, (0.85, 0.16, 0.45)),
        (black**1.5, 45, (0.12, 0.11, 0.11)),  # weaker than the inks it replaces, because dots grow in print
    ):
        covered = screen(amount, degrees, cell)[..., None]
        page = page * (1 - covered + covered * np.array(ink, np.float32))
    return page


def screen(amount: np.ndarray, degrees: float, cell: float) -> np.ndarray:
    """Return the coverage (H, W) of pixels by soft-edged dots that cover a fraction `amount` (H, W) of the paper."""
    y, x = np.mgrid[: amount.shape[0], : amount.shape[1]].astype(np.float32)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    place = hills((x * cosine + y * sine) / cell, (y * cosine - x * sine) / cell)
    heights = np.sort(hills(*np.mgrid[0:1:64j, 0:1:64j]).ravel())  # of one cell
    threshold = np.searchsorted(heights, place) / heights.size  # 0 in the center of a dot; uniformly distributed
    return np.clip((amount - threshold) * cell + 0.5, 0, 1).astype(np.float32) * (amount > 0)


def hills(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """Return a smooth lattice with period 1, minimal in the corners of a cell and maximal in its center."""
    return np.asarray(-np.cos(2 * np.pi * across) - np.cos(2 * np.pi * down))


def poster(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return a screen print: flat areas in six inks, chosen mainly by luminance."""
    flat = kuwahara(image, max(1, round(min(image.shape[:2]) / 48)))
    colors = palette(POSTER_INKS)
    target = np.sort(colors @ LUMINANCE)
    tone = np.interp(equalized(luminance(flat)), np.linspace(0, 1, len(target)), target)  # so that all inks are used
    distance = 4 * (tone[..., None] - colors @ LUMINANCE) ** 2 + ((flat[:, :, None] - colors) ** 2).sum(-1)
    return colors[distance.argmin(-1)]


def painting(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Return an oil painting: flat areas that keep edges (Kuwahara filter), slightly more saturated."""
    flat = kuwahara(image, max(2, round(min(image.shape[:2]) / 56)))
    gray = luminance(flat)[..., None]
    return clipped(gray + 1.25 * (flat - gray))


def washes(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Watercolor washes on cream paper, darker along edges."""
    side = min(image.shape[:2])
    flat = kuwahara(image, max(2, round(side / 40)))
    edges = np.hypot(*np.gradient(luminance(blurred(flat, side / 160))))[..., None]
    return clipped((0.25 + 0.78 * flat) * (1 - 1.5 * np.minimum(edges, 0.15)) * np.array([1.0, 0.98, 0.92], np.float32))


def paper(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Paper texture."""
    height, width = image.shape[:2]
    rough = blurred(rng.standard_normal((height, width, 1), np.float32), max(0.7, min(height, width) / 300))
    return clipped(image * (1 + 0.035 * rough / rough.std()))


# ---- screens


def pixels(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """Pixel art: cells of a 48th of the shorter side, each in the nearest of PICO-8's 16 colors."""
    height, width = image.shape[:2]
    cell = max(2, round(min(height, width) / 48))
    small = resized(image, (-(-height // cell), -(-width // cell)))
    colors = palette(PICO8)
    nearest = colors[((small[:, :, None] - colors) ** 2 @ (3 * LUMINANCE + 0.5)).argmin(-1)]
    return nearest.repeat(cell, 0).repeat(cell, 1)[:height, :width]


def scan_lines(image: FloatImage, rng: np.random.Generator) -> FloatImage:
    """A cathode-ray tube: every other line is dim, columns are tinted red, green and blue, and bright areas bloom."""
    height, width = image.shape[:2]
    unit = max(1, round(min(height, width) / 240))  # pixels a line
    glow = image + 0.35 * blurred(np.maximum(image - 0.5, 0), min(height, width) / 40)
    rows = np.where(np.arange(height) // unit % 2, 0.62, 1.0)[:, None, None]
    columns = 0.8 + 0.4 * np.eye(3)[np.arange(width) // unit % 3]  # (W, 3)
    return clipped(1.12 * glow * (rows * columns[None]).astype(np.float32))


FILTERS: dict[str, Filter] = {
    function.__name__: function
    for function in (
        sepia, fade, vignette, grain, halftone, poster, painting, washes, paper, pixels, scan_lines,
    )
}  # fmt: skip
STOCHASTIC = {"grain", "paper"}  # random, so a translator cannot predict them
STYLES: dict[str, list[str]] = {
    "film": ["sepia", "fade", "vignette"],
    "grainy_film": ["sepia", "fade", "vignette", "grain"],
    "halftone": ["halftone"],
    "poster": ["poster"],
    "painting": ["painting"],
    "watercolor": ["washes", "paper"],
    "pixel_art": ["pixels"],
    "crt": ["scan_lines"],
}


def make_style(style: str | Sequence[str]) -> Callable[[np.ndarray, int], np.ndarray]:
    """Return a function that maps (image uint8 (H, W, 3), seed) to the image in a style, uint8 (H, W, 3).

    Args:
        style: one of STYLES or FILTERS, one of pilgram's filters, or a list of filters, applied in order.

    Raises:
        UserError: the name is unknown.
    """
    filters = [FILTERS.get(name) or pilgram_filter(name) for name in filter_names(style)]

    def apply(pixels: np.ndarray, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        image = pixels.astype(np.float32) / 255
        for each in filters:
            image = each(image, rng)
        return np.rint(255 * clipped(image)).astype(np.uint8)

    return apply


def filter_names(style: str | Sequence[str]) -> list[str]:
    """Return the names of the filters of a style."""
    # YAML reads 1977 as a number
    words = [str(style)] if isinstance(style, str | int) else [str(word) for word in style]
    return STYLES[words[0]] if len(words) == 1 and words[0] in STYLES else words


def pilgram_filter(name: str) -> Filter:
    """Return a filter of the pilgram library, by its name; "1977" is its function _1977."""
    try:
        import pilgram
    except ImportError:
        raise UserError(
            f"data.style={name} is not known: use one of {', '.join([*STYLES, *FILTERS])}; "
            f"pilgram's filters, such as 1977, need {install('styles')}"
        ) from None
    filters = {each.removeprefix("_"): each for each in pilgram.__all__ if callable(getattr(pilgram, each))}
    if name not in filters:
        raise UserError(
            f"data.style={name} is not known: use one of {', '.join(dict.fromkeys([*STYLES, *FILTERS, *filters]))}"
        )
    function = getattr(pilgram, filters[name])

    def apply(image: FloatImage, rng: np.random.Generator) -> FloatImage:
        filtered = function(Image.fromarray(np.rint(255 * image).astype(np.uint8)))
        return np.asarray(filtered.convert("RGB"), np.float32) / 255

    return apply


# ---- helpers


def luminance(image: FloatImage) -> np.ndarray:
    """Return the luminance (H, W) of an image (H, W, 3)."""
    return np.asarray(image @ LUMINANCE)


def clipped(image: np.ndarray) -> FloatImage:
    return np.asarray(image.clip(0, 1), np.float32)


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


def kuwahara(image: FloatImage, radius: int) -> FloatImage:
    """Return the Kuwahara filter: each pixel becomes the mean of the quadrant around it with the smallest variance.

    Kuwahara et al., "Processing of RI-angiocardiographic images", 1976. Smooths and keeps edges.
    """
    padded = np.pad(image, ((2 * radius, 2 * radius), (2 * radius, 2 * radius), (0, 0)), "edge")
    mean, square = (
        box_mean(padded, radius),
        box_mean(padded**2, radius),
    )  # centers: `radius` from the padded edge
    variance = (square - mean**2).sum(-1)
    height, width = image.shape[:2]
    corners = [(y, x) for y in (0, 2 * radius) for x in (0, 2 * radius)]  # a quadrant's center is `radius` off
    quadrants = np.stack([mean[y : y + height, x : x + width] for y, x in corners])  # (4, H, W, 3)
    variances = np.stack([variance[y : y + height, x : x + width] for y, x in corners])  # (4, H, W)
    return np.take_along_axis(quadrants, variances.argmin(0)[None, ..., None], 0)[0].astype(np.float32)


def box_mean(image: np.ndarray, radius: int) -> np.ndarray:
    """Box filter of side 2 radius + 1, without padding: (H, W, C) -> (H - 2 radius, W - 2 radius, C), float64."""
    side = 2 * radius + 1
    sums = np.pad(image.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    return (sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]) / side**2
