"""State that the frames of a video share: the first of random numbers, and running means of statistics.

Code that translates an image passes what depends on the whole image through `from_first_frame` and `mean_over_frames`.
Within a frame of a `Video` they return the value for the video, otherwise the value itself. So the code needs no
argument for videos.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import numpy as np
from PIL import Image

WINDOW = 24  # frames of a running mean, about one second
SIDE = 16  # pixels of the thumbnails of frames, to detect cuts
CUT = 25.0  # mean absolute difference, in levels, of the thumbnails of two frames between which there is a cut

Value = TypeVar("Value")


class Video:
    """The frames of one video, in order, see `frame`."""

    def __init__(self) -> None:
        self.thumbnail: np.ndarray | None = None  # of the last frame
        self.firsts: list[Any] = []  # of the video, in the order of the calls for each frame
        self.means: list[Any] = []  # since the last cut
        self.frames = 0  # since the last cut
        self.calls = [0, 0]  # of `first` and of `mean`, for this frame

    @contextmanager
    def frame(self, pixels: np.ndarray) -> Iterator[None]:
        """Translate the next frame, uint8 (H, W, 3) or (H, W, 4), within this context.

        After a cut, running means start again, so that a scene never gets the statistics of another one.
        """
        small = Image.fromarray(pixels).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BOX)
        thumbnail = np.asarray(small, np.float32)
        if self.thumbnail is not None and np.abs(thumbnail - self.thumbnail).mean() > CUT:
            self.means, self.frames = [], 0
        self.thumbnail, self.calls = thumbnail, [0, 0]
        self.frames += 1
        token = _VIDEO.set(self)
        try:
            yield
        finally:
            _VIDEO.reset(token)

    def first(self, value: object) -> Any:
        index, self.calls[0] = self.calls[0], self.calls[0] + 1
        self.firsts[index:] = self.firsts[index:] or [value]
        return self.firsts[index]

    def mean(self, value: Any) -> Any:
        index, self.calls[1] = self.calls[1], self.calls[1] + 1
        if index == len(self.means) or self.means[index].shape != value.shape:  # a later frame may have another size
            self.means[index:] = [value]
        else:
            self.means[index] = self.means[index] + (value - self.means[index]) / min(self.frames, WINDOW)
        return self.means[index]


_VIDEO: ContextVar[Video | None] = ContextVar("video", default=None)


def in_video() -> bool:
    return _VIDEO.get() is not None


def from_first_frame(value: Value) -> Value:
    """Return the value of this call for the first frame of the video; without a video, `value`."""
    video = _VIDEO.get()
    return value if video is None else video.first(value)


def mean_over_frames(value: Value) -> Value:
    """Return the mean of an array or tensor over the last frames since a cut, about a second; without a video, `value`.

    The weight of a new frame is 1/n for frame n of a scene, and 1/24 from the 24th on. So the mean changes slowly, and
    follows slow changes of the scene.
    """
    video = _VIDEO.get()
    return value if video is None else video.mean(value)
