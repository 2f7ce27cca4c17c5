"""Retro looks for photographs, made of pieces that go one after the other: the known truth of data=retro_filter.

A piece takes light (H, W, 3), float32 in 0..1, and a random generator, and gives the same. Lengths are shares of the
shorter side, so that a picture and its half get the same look; cells of prints and pixels are at least two pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from gan.common.errors import UserError
from gan.data.builtin.shapes import inks, toned

Intensity = np.ndarray  # (H, W, 3), float32 in 0..1
Filter = Callable[[Intensity, np.random.Generator], Intensity]

LUMINANCE = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue (ITU-R BT.601)
POSTER_INKS = "1b2a41 c8452f e9a03b 2f7f79 8fb7a8 f3e6c8"
PICO8 = (
    "000000 1d2b53 7e2553 008751 ab5236 5f574f c2c3c7 fff1e8 ff004d ffa300 ffec27 00e436 29adff 83769c ff77a8 ffccaa"
)


# ---- photographs and film


def sepia(light: Intensity, rng: np.random.Generator) -> Intensity:
    """A silver print toned brown: luminance alone is left, from dark brown to warm white."""
    tones = np.array([(0.13, 0.08, 0.05), (0.58, 0.45, 0.32), (0.98, 0.93, 0.82)])
    return toned(luminance(light), tones).astype(np.float32)


def fade(light: Intensity, rng: np.random.Generator) -> Intensity:
    """A color print that hung in the light: blacks lifted and brown, whites dimmed, the blue layer gone first."""
    low, high = np.array([0.16, 0.12, 0.11], np.float32), np.array([0.95, 0.90, 0.78], np.float32)
    return low + light * (high - low)


def vignette(light: Intensity, rng: np.random.Generator) -> Intensity:
    """The corners get 45 % of the light that the middle gets."""
    y, x = np.mgrid[-1 : 1 : light.shape[0] * 1j, -1 : 1 : light.shape[1] * 1j]
    return light * (1 - 0.55 * ((x**2 + y**2) / 2) ** 1.25)[..., None].astype(np.float32)


def grain(light: Intensity, rng: np.random.Generator) -> Intensity:
    """Film grain: noise without color, a pixel or a 400th of the side wide, strongest in middle tones."""
    height, width = light.shape[:2]
    noise = blurred(rng.standard_normal((height, width, 1), np.float32), max(0.5, min(height, width) / 800))
    middle = luminance(light)[..., None]
    return clipped(light + 0.07 * noise / noise.std() * np.sqrt(np.maximum(4 * middle * (1 - middle), 0.1)))


# ---- prints and paint


def halftone(light: Intensity, rng: np.random.Generator) -> Intensity:
    """Four-color printing: a screen of dots for each ink, at the printers' angles, on paper."""
    cyan, magenta, yellow = np.moveaxis(1 - light, -1, 0)
    black = np.minimum(np.minimum(cyan, magenta), yellow)
    cell = max(4.0, min(light.shape[:2]) / 64)  # pixels from dot to dot
    page = np.full_like(light, 1) * np.array([0.96, 0.93, 0.86], np.float32)
    for amount, degrees, ink in (
        (yellow - black, 0, (1.0, 0.87, 0.12)),
        (cyan - black, 15, (0.10, 0.62, 0.80)),
        (magenta - black, 75, (0.85, 0.16, 0.45)),
        (black**1.5, 45, (0.12, 0.11, 0.11)),  # lighter than what it takes the place of: dots spread in print
    ):
        covered = screen(amount, degrees, cell)[..., None]
        page = page * (1 - covered + covered * np.array(ink, np.float32))
    return page


def screen(amount: np.ndarray, degrees: float, cell: float) -> np.ndarray:
    """Share (H, W) of each pixel that dots cover which take `amount` (H, W) of the paper, with edges a pixel soft."""
    y, x = np.mgrid[: amount.shape[0], : amount.shape[1]].astype(np.float32)
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    place = hills((x * cosine + y * sine) / cell, (y * cosine - x * sine) / cell)
    heights = np.sort(hills(*np.mgrid[0:1:64j, 0:1:64j]).ravel())  # of a whole cell
    threshold = np.searchsorted(heights, place) / heights.size  # 0 in the middle of a dot; each value as often
    return np.clip((amount - threshold) * cell + 0.5, 0, 1).astype(np.float32) * (amount > 0)


def hills(across: np.ndarray, down: np.ndarray) -> np.ndarray:
    """A smooth lattice with period 1, lowest in the corners of a cell and highest in its middle."""
    return np.asarray(-np.cos(2 * np.pi * across) - np.cos(2 * np.pi * down))


def poster(light: Intensity, rng: np.random.Generator) -> Intensity:
    """A screen print: flat shapes in six inks, chosen by luminance first, their borders smooth."""
    flat = kuwahara(light, max(1, round(min(light.shape[:2]) / 48)))
    colors = palette(POSTER_INKS)
    target = np.sort(colors @ LUMINANCE)
    tone = np.interp(equalized(luminance(flat)), np.linspace(0, 1, len(target)), target)  # all inks get used
    distance = 4 * (tone[..., None] - colors @ LUMINANCE) ** 2 + ((flat[:, :, None] - colors) ** 2).sum(-1)
    return colors[distance.argmin(-1)]


def painting(light: Intensity, rng: np.random.Generator) -> Intensity:
    """Oil: patches of one color that keep to edges (Kuwahara's filter), a little more saturated."""
    flat = kuwahara(light, max(2, round(min(light.shape[:2]) / 56)))
    gray = luminance(flat)[..., None]
    return clipped(gray + 1.25 * (flat - gray))


def washes(light: Intensity, rng: np.random.Generator) -> Intensity:
    """Washes of thin color on cream paper, darker along the edges where the water dried."""
    side = min(light.shape[:2])
    flat = kuwahara(light, max(2, round(side / 40)))
    edges = np.hypot(*np.gradient(luminance(blurred(flat, side / 160))))[..., None]
    return clipped((0.25 + 0.78 * flat) * (1 - 1.5 * np.minimum(edges, 0.15)) * np.array([1.0, 0.98, 0.92], np.float32))


def paper(light: Intensity, rng: np.random.Generator) -> Intensity:
    """The roughness of paper."""
    height, width = light.shape[:2]
    rough = blurred(rng.standard_normal((height, width, 1), np.float32), max(0.7, min(height, width) / 300))
    return clipped(light * (1 + 0.035 * rough / rough.std()))


# ---- screens


def pixels(light: Intensity, rng: np.random.Generator) -> Intensity:
    """Cells of a 48th of the shorter side, each in the nearest of a fantasy console's 16 colors."""
    height, width = light.shape[:2]
    cell = max(2, round(min(height, width) / 48))
    small = resized(light, (-(-height // cell), -(-width // cell)))
    colors = palette(PICO8)
    nearest = colors[((small[:, :, None] - colors) ** 2 @ (3 * LUMINANCE + 0.5)).argmin(-1)]
    return nearest.repeat(cell, 0).repeat(cell, 1)[:height, :width]


def scan_lines(light: Intensity, rng: np.random.Generator) -> Intensity:
    """A cathode-ray tube: every other line is dim, columns glow red, green and blue, bright parts spread."""
    height, width = light.shape[:2]
    unit = max(1, round(min(height, width) / 240))  # pixels a line
    glow = light + 0.35 * blurred(np.maximum(light - 0.5, 0), min(height, width) / 40)
    rows = np.where(np.arange(height) // unit % 2, 0.62, 1.0)[:, None, None]
    columns = 0.8 + 0.4 * np.eye(3)[np.arange(width) // unit % 3]  # (W, 3)
    return clipped(1.12 * glow * (rows * columns[None]).astype(np.float32))


FILTERS: dict[str, Filter] = {
    piece.__name__: piece
    for piece in (
        sepia, fade, vignette, grain, halftone, poster, painting, washes, paper, pixels, scan_lines,
    )
}  # fmt: skip
STOCHASTIC = {"grain", "paper"}  # which nobody can foresee
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
    """A function of uint8 (H, W, 3) and a seed that gives the picture in that style, uint8 (H, W, 3).

    Args:
        style: one of LOOKS, or of pilgram's filters, or a list of pieces and filters, applied in order.

    Raises:
        UserError: there is none of that name.
    """
    pieces = [FILTERS.get(name) or pilgram_filter(name) for name in names(style)]

    def apply(picture: np.ndarray, seed: int) -> np.ndarray:
        rng = np.random.default_rng(seed)
        light = picture.astype(np.float32) / 255
        for piece in pieces:
            light = piece(light, rng)
        return np.rint(255 * clipped(light)).astype(np.uint8)

    return apply


def names(style: str | Sequence[str]) -> list[str]:
    """The pieces and filters that a style is made of."""
    words = [str(style)] if isinstance(style, str | int) else [str(word) for word in style]  # 1977 is one
    return STYLES[words[0]] if len(words) == 1 and words[0] in STYLES else words


def pilgram_filter(name: str) -> Filter:
    """One of pilgram's imitations of a well-known application's filters, as a piece; "1977" is its _1977."""
    try:
        import pilgram
    except ImportError:
        raise UserError(
            f"data.style={name}: not one of {', '.join([*STYLES, *FILTERS])}; for pilgram's filters, such as 1977, "
            "pip install -e '.[looks]'"
        ) from None
    filters = {each.removeprefix("_"): each for each in pilgram.__all__ if callable(getattr(pilgram, each))}
    if name not in filters:
        raise UserError(
            f"data.style={name}: not known; there are {', '.join(dict.fromkeys([*STYLES, *FILTERS, *filters]))}"
        )
    function = getattr(pilgram, filters[name])

    def piece(light: Intensity, rng: np.random.Generator) -> Intensity:
        filtered = function(Image.fromarray(np.rint(255 * light).astype(np.uint8)))
        return np.asarray(filtered.convert("RGB"), np.float32) / 255

    return piece


# ---- tools


def luminance(light: Intensity) -> np.ndarray:
    """(H, W, 3) -> (H, W)."""
    return np.asarray(light @ LUMINANCE)


def clipped(light: np.ndarray) -> Intensity:
    return np.asarray(light.clip(0, 1), np.float32)


def palette(words: str) -> np.ndarray:
    """(colors, 3) in 0..1."""
    return np.array(inks(words), np.float32) / 255


def blurred(light: np.ndarray, radius: float) -> Intensity:
    """Gaussian blur of (H, W, C); radius, its deviation, in pixels."""
    reach = int(np.ceil(3 * radius))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1, dtype=np.float32) / radius) ** 2)
    for axis in (0, 1):
        padding = [(reach, reach) if each == axis else (0, 0) for each in range(3)]
        padded, length = np.pad(light, padding, "edge"), light.shape[axis]
        shifted = (np.take(padded, range(tap, tap + length), axis) for tap in range(2 * reach + 1))
        light = sum(weight * each for weight, each in zip(weights / weights.sum(), shifted, strict=True))
    return light


def resized(light: Intensity, size: tuple[int, int]) -> Intensity:
    """To (height, width), by means over what a pixel covers."""
    channels = [Image.fromarray(np.ascontiguousarray(channel)) for channel in np.moveaxis(light, -1, 0)]
    return np.stack([np.asarray(channel.resize(size[::-1], Image.Resampling.BOX)) for channel in channels], -1)


def equalized(values: np.ndarray) -> np.ndarray:
    """Ranks in 0..1, so that each tenth of the range has a tenth of the pixels."""
    order = np.sort(values.ravel())
    return np.asarray(np.searchsorted(order, values, "right") / order.size)


def kuwahara(light: Intensity, radius: int) -> Intensity:
    """Each pixel becomes the mean of that quarter of its neighborhood in which colors differ least.

    Kuwahara et al., "Processing of RI-angiocardiographic images", 1976: smooth inside, edges kept.
    """
    padded = np.pad(light, ((2 * radius, 2 * radius), (2 * radius, 2 * radius), (0, 0)), "edge")
    mean, square = box_mean(padded, radius), box_mean(padded**2, radius)  # centers `radius` from the padding's edge
    variance = (square - mean**2).sum(-1)
    height, width = light.shape[:2]
    corners = [(y, x) for y in (0, 2 * radius) for x in (0, 2 * radius)]  # a quarter's center is `radius` off
    quarters = np.stack([mean[y : y + height, x : x + width] for y, x in corners])  # (4, H, W, 3)
    spread = np.stack([variance[y : y + height, x : x + width] for y, x in corners])  # (4, H, W)
    return np.take_along_axis(quarters, spread.argmin(0)[None, ..., None], 0)[0].astype(np.float32)


def box_mean(light: np.ndarray, radius: int) -> np.ndarray:
    """Means over windows of 2 radius + 1, without padding: (H, W, C) -> (H - 2 radius, W - 2 radius, C), float64."""
    side = 2 * radius + 1
    sums = np.pad(light.astype(np.float64).cumsum(0).cumsum(1), ((1, 0), (1, 0), (0, 0)))
    return (sums[side:, side:] - sums[:-side, side:] - sums[side:, :-side] + sums[:-side, :-side]) / side**2
