"""Limits of the page. The server checks them in every call, because a caller need not use the page's sliders."""

from __future__ import annotations

from gan import settings
from gan.settings import Setting
from gan.utils.errors import UserError

MAX_IMAGES = 64  # generated in one call
MAX_FRAMES = 360  # of an animation
MAX_FRAME_PIXELS = 60_000_000  # of all frames of an animation, and of all images of a call
MAX_ENLARGEMENT = 64  # pixels of a generated image for each pixel of the training size

TRUNCATION = settings.TRUNCATION.within(-2, 2)
CELL = settings.CELL.within(1, 256)
SIDE = Setting("side", default=64, low=1, high=1024, whole=True)  # of a generated image
SCALE = Setting("scale", default=1, low=1, high=16, whole=True)
FRAMES = Setting("frames", default=20, low=1, high=MAX_FRAMES, whole=True)
FPS = Setting("fps", default=20.0, low=0.1, high=60)
CHANGE = Setting("change", default=0.0, low=-6, high=6)  # of an attribute or along a direction, standard deviations

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


def check_pixels(count: int, height: int, width: int) -> None:
    """Raise UserError if `count` images of this size are too much for one call."""
    if count * height * width > MAX_FRAME_PIXELS:
        limit = MAX_FRAME_PIXELS // 10**6
        raise UserError(f"{count:,} images of {width}x{height} pixels are more than {limit} million pixels; give fewer "
                        "or smaller ones")  # fmt: skip
