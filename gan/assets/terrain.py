"""Two seamless textures as a terrain: 16 tiles, one for each choice of textures at the four corners.

Each pixel of a tile has the color of one texture. Which one depends on the interpolated corners and on a noise that is
the same in all tiles and continues at opposite borders. Along a border, the interpolated corners depend on its two
corners only, so tiles with equal corners fit together, whatever their other corners are (Cohen et al., "Wang Tiles for
Image and Texture Generation", 2003, has the same condition).
"""

from __future__ import annotations

from itertools import product

import numpy as np

CORNERS = list(product((0, 1), repeat=4))  # textures at top left, top right, bottom left, bottom right, of each tile
COLORS = ("#7f5f3f", "#3f7f3f")  # of the two textures in an editor
MODES = 4  # highest frequency of the noise, in waves per tile
ROUGHNESS = 0.3  # standard deviation of the noise; at 0.5, it reaches the corners
MAX_NOISE = 0.45


def tiles_of(first: np.ndarray, second: np.ndarray, seed: int = 0) -> np.ndarray:
    """Return the tiles uint8 (16, H, W, C) of two textures of one size, in the order of CORNERS."""
    first, second = at_smallest_steps(first), at_smallest_steps(second)
    height, width = first.shape[:2]
    rows, columns = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
    down, across = smoothstep(rows)[:, None], smoothstep(columns)
    rough = noise(height, width, seed)
    tiles = []
    for top_left, top_right, bottom_left, bottom_right in CORNERS:
        top = top_left + (top_right - top_left) * across
        bottom = bottom_left + (bottom_right - bottom_left) * across
        share = top + (bottom - top) * down  # (H, W)
        tiles.append(np.where((share + rough > 0.5)[..., None], second, first))
    return np.stack(tiles)


def at_smallest_steps(texture: np.ndarray) -> np.ndarray:
    """Return a seamless texture that is moved so that its borders are where neighbors differ least."""
    levels = texture.astype(np.float32)
    for axis in (0, 1):
        steps = np.abs(levels - np.roll(levels, 1, axis)).mean((1 - axis, 2))
        levels = np.roll(levels, -int(steps.argmin()), axis)
    return levels.astype(np.uint8)


def smoothstep(x: np.ndarray) -> np.ndarray:
    """Return a curve from 0 to 1 that is flat at both ends, so that boundaries between tiles have no corners."""
    return x * x * (3 - 2 * x)


def noise(height: int, width: int, seed: int) -> np.ndarray:
    """Return smooth noise (H, W) in -MAX_NOISE..MAX_NOISE, which continues at opposite borders."""
    rng = np.random.default_rng(seed)
    rows, columns = np.arange(height)[:, None] / height, np.arange(width) / width
    total = np.zeros((height, width))
    for down, across in product(range(-MODES, MODES + 1), range(MODES + 1)):
        if 0 < down * down + across * across <= MODES * MODES:
            amplitude, phase = rng.normal() / np.hypot(down, across), rng.random()
            total += amplitude * np.cos(2 * np.pi * (down * rows + across * columns + phase))
    return np.clip(total * (ROUGHNESS / total.std()), -MAX_NOISE, MAX_NOISE)


def wang_ids() -> list[str]:
    """Return the attribute of each tile in Tiled: textures, from 1 on, clockwise from the top; 0 for the sides."""
    return [f"0,{b + 1},0,{d + 1},0,{c + 1},0,{a + 1}" for a, b, c, d in CORNERS]
