"""Limits of the page. The server checks them in every call, because a caller need not use the page's sliders."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from gan.common.errors import UserError, shown
from gan.settings import parse_seeds

MAX_IMAGES = 64  # generated in one call
MAX_FRAMES = 360  # of an animation
MAX_FRAME_PIXELS = 60_000_000  # of all frames of an animation, and of all images of a call
MAX_SCALE = 16
MAX_ENLARGEMENT = 64  # pixels of a generated image for each pixel of the training size
MAX_TEXT = 1000  # characters of a list of seeds
MAX_SIDE = 1024  # pixels of a generated image
MAX_STEPS, MAX_STARTS = 1000, 32  # of a projection
MAX_CELL = 256  # pixels
MAX_SETTING = 6.0  # standard deviations

MAX_UPLOAD = 64 << 20  # bytes of one upload
MAX_UNPACKED = 256 << 20  # bytes of the images in one call, unpacked
MAX_FILES = 50  # images in one call
MAX_PIXELS = 24_000_000  # of an uploaded image, over all frames
MAX_CALL = 256 << 10  # bytes of a call without its uploads
MAX_STORED = 1 << 30  # bytes of uploads and results of all visitors
KEPT = 1800  # seconds that uploads and results are kept

MAX_WAITING = 40  # calls in the queue
MAX_UPLOADS = 8  # at the same time
SILENCE = 20  # seconds after which a client that sends nothing is disconnected
MAX_CONNECTIONS = 600
MAX_SESSIONS = 32  # whose state is kept, about 1 MB each
MAX_MODELS = 8


def number(name: str, value: Any, low: float, high: float) -> float:
    """Return a number in low..high; raise UserError for other values."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and low <= value <= high:
        return float(value)
    raise UserError(f"{name} {shorten(value)}: give a number from {low:g} to {high:g}")


def whole(name: str, value: Any, low: int, high: int) -> int:
    """Return a whole number in low..high, also if it is given as 3.0; raise UserError for other values."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and low <= value <= high:
        return value
    raise UserError(f"{name} {shorten(value)}: give a whole number from {low} to {high}")


def choice(name: str, value: Any, allowed: Collection[str]) -> str:
    """Return one of the allowed texts; raise UserError for other values."""
    if isinstance(value, str) and value in allowed:
        return value
    raise UserError(f"{name} {shorten(value)}: choose from {', '.join(allowed)}")


def seed_list(value: Any, most: int = MAX_IMAGES) -> list[int]:
    """Return the seeds of a text such as "0-15,42"; raise UserError if there are more than `most`."""
    text = str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
    if len(text) > MAX_TEXT:
        raise UserError("seeds: the text is too long; write 0-15,42")
    return parse_seeds(text, "seeds", most, twice=True)


def distinct_seeds(value: Any, most: int = MAX_IMAGES) -> list[int]:
    """Return the seeds as `seed_list`, each once."""
    return list(dict.fromkeys(seed_list(value, most)))


def seed(name: str, value: Any) -> int:
    """Return a seed; raise UserError for other values."""
    return whole(name, value, 0, (1 << 63) - 1)


def pixels(
    count: int, height: int, width: int, what: str = "images", advice: str = "give fewer or smaller ones"
) -> None:
    """Raise UserError if `count` images of this size are too much for one call."""
    if count * height * width > MAX_FRAME_PIXELS:
        raise UserError(
            f"{count:,} {what} of {width}x{height} pixels are more than {MAX_FRAME_PIXELS // 10**6} million pixels; "
            + advice
        )


def shorten(value: Any) -> str:
    return shown(value if isinstance(value, int | float | str) or value is None else type(value).__name__)[:80]
