"""Print the flicker of looks and trained translators, without and with --steady.

    python tests/benchmarks/flicker.py PHOTOGRAPH look:grainy_film runs/film [--frames 24] [--height 240] [--step 2]

Scenes are cut from one photograph. "pan": the camera moves by `--step` pixels per frame over the still photograph.
"still": the camera stands still, and a part of the photograph moves through the image, which changes what depends on
the whole image. Numbers are levels of 0..255, see `flicker`.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from gan.api import load
from gan.looks import names_look
from gan.metrics.pixels import rgb
from gan.models.loading import select_direction
from gan.translation.image_translator import ImageFunction, ImageTranslator, parse_look
from gan.translation.translator import NetworkFunction
from gan.utils.output import print_aligned

TOLERANCE = 6.0  # levels by which a channel of the original may change in a pixel that counts as unchanged


def flicker(before: Tensor, after: Tensor, motion: Tensor) -> float:
    """Return the root mean square change, in levels of 0..255, of translated frames where the originals do not change.

    It is NaN if no pixel of the originals stays unchanged.

    Args:
        before: the original frames in order, uint8 (F, C, H, W).
        after: their translations, of the same sizes.
        motion: int64 (F - 1, 2), the rows and columns by which the content of each frame but the last moves until the
            next one.
    """
    total, count = 0.0, 0.0
    for t in range(len(before) - 1):
        rows, columns = motion[t].tolist()
        original, moved = overlap(rgb(before[t : t + 2]), rows, columns)
        unchanged = (original - moved).abs().amax(0) <= TOLERANCE  # (h, w)
        translated, next_one = overlap(rgb(after[t : t + 2]), rows, columns)
        total += float(((translated - next_one).square().mean(0) * unchanged).double().sum())
        count += float(unchanged.double().sum())
    return (total / count) ** 0.5 if count else math.nan


def overlap(frames: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Return what both of two frames (2, C, H, W) show, if its content moves down and right: twice (C, h, w)."""
    height, width = frames.shape[2:]
    first = frames[0, :, max(0, -rows) : height - max(0, rows), max(0, -columns) : width - max(0, columns)]
    second = frames[1, :, max(0, rows) : height - max(0, -rows), max(0, columns) : width - max(0, -columns)]
    return first, second


def pan(photograph: Image.Image, count: int, height: int, step: int) -> tuple[list[Image.Image], Tensor]:
    """Return the frames of a pan, and the motion of their content."""
    width = photograph.width - step * (count - 1)
    top = (photograph.height - height) // 2
    frames = [photograph.crop((step * n, top, step * n + width, top + height)) for n in range(count)]
    return frames, torch.tensor([[0, -step]]).repeat(count - 1, 1)


def still(photograph: Image.Image, count: int, height: int, step: int) -> tuple[list[Image.Image], Tensor]:
    """Return the frames of a scene in which a part of the photograph, negated, moves down."""
    frames, _ = pan(photograph, count, height, step)
    part = frames[0].resize((frames[0].width // 3, height // 3)).point(lambda level: 255 - level)
    moved = [frames[0].copy() for _ in frames]
    for n, frame in enumerate(moved):
        frame.paste(part, (frame.width // 3, round((height + part.height) * n / (count - 1)) - part.height))
    return moved, torch.zeros(count - 1, 2, dtype=torch.int64)


def function_of(name: str) -> ImageFunction:
    if names_look(name):
        return parse_look(name)
    model = load(name)
    return NetworkFunction(select_direction(name, model.network), model.config["data"]["channels"], None)


def scores(name: str, scenes: list[tuple[list[Image.Image], Tensor]]) -> Iterator[float]:
    function = function_of(name)
    for frames, motion in scenes:
        for steady in (False, True):
            change = ImageTranslator(function, steady=steady).for_frames()
            after = [change(frame) for frame in frames]
            yield flicker(*(torch.from_numpy(np.stack(each)).permute(0, 3, 1, 2) for each in (frames, after)), motion)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photograph")
    parser.add_argument("translators", nargs="+")
    parser.add_argument("--frames", type=int, default=24)
    parser.add_argument("--height", type=int, default=240)
    parser.add_argument("--step", type=int, default=2)
    given = parser.parse_args()
    with Image.open(given.photograph) as image:
        photograph = image.convert("RGB").resize((round(image.width * given.height / image.height), given.height))
    scenes = [scene(photograph, given.frames, given.height, given.step) for scene in (pan, still)]
    rows = [[name, *(f"{value:.2f}" for value in scores(name, scenes))] for name in given.translators]
    heads = [f"{scene}{steady}" for scene in ("pan", "still") for steady in ("", ", --steady")]
    print_aligned(["translator", *heads], rows, right=heads)


if __name__ == "__main__":
    main()
