"""Measure how well the grid of enlarged pixel art is found: the tables of docs/benchmarks_details.md.

    python tests/benchmarks/pixel_grid.py FOLDER [--sprites 200] [--factors 2-9] [--others FOLDER ...]

FOLDER has pixel art at its own size. Each sprite is enlarged by each factor in each way. A grid is right if the side
of its cells and their offset are those of the enlargement. `color` is the median over sprites of the mean difference of
their channels, of 255, where the grid is right. In the images of other folders, each grid is an error. JPEG has no
alpha, so sprites are on white there.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import gaussian_filter

from gan.data.decoding.reader import read_first_frame
from gan.data.pixel_grid import find_grid, premultiply, restore
from gan.data.sources.files import find

SEED = 27


def nearest(sprite: Image.Image, factor: int) -> Image.Image:
    return sprite.resize((sprite.width * factor, sprite.height * factor), Image.Resampling.NEAREST)


def blur(sprite: Image.Image, factor: int) -> Image.Image:
    pixels = np.asarray(nearest(sprite, factor).convert("RGBa"), np.float32)
    smooth = np.rint(gaussian_filter(pixels, (factor / 4, factor / 4, 0), mode="nearest")).astype(np.uint8)
    return Image.frombytes("RGBa", smooth.shape[1::-1], smooth.tobytes()).convert("RGBA")


def jpeg(sprite: Image.Image, factor: int) -> Image.Image:
    file = BytesIO()
    nearest(on_white(sprite), factor).save(file, "JPEG", quality=80)
    return Image.open(file).convert("RGBA")


def resized(kernel: Image.Resampling) -> Callable[[Image.Image, int], Image.Image]:
    def enlarge(sprite: Image.Image, factor: int) -> Image.Image:
        size = (sprite.width * factor, sprite.height * factor)
        return sprite.convert("RGBa").resize(size, kernel).convert("RGBA")

    return enlarge


def on_white(sprite: Image.Image) -> Image.Image:
    return Image.alpha_composite(Image.new("RGBA", sprite.size, "white"), sprite).convert("RGB")


# name -> how to enlarge a sprite, and whether to crop the result at random
WAYS: dict[str, tuple[Callable[[Image.Image, int], Image.Image], bool]] = {
    "nearest": (nearest, False),
    "nearest, cropped": (nearest, True),
    "blurred by 1/4 cell": (blur, False),
    "JPEG 80": (jpeg, False),
    "JPEG 80, cropped": (nearest, True),
    "bilinear": (resized(Image.Resampling.BILINEAR), False),
    "bicubic": (resized(Image.Resampling.BICUBIC), False),
}


def measure(sprites: list[Image.Image], way: str, factor: int) -> tuple[float, float, float]:
    """Return the fractions of sprites whose grid is right and whose pixels are equal, and the difference of colors."""
    enlarge, crops = WAYS[way]
    random_crop = random.Random(SEED)
    right, equal, differences = 0, 0, []
    for sprite in sprites:
        left, top, after, below = (random_crop.randrange(2 * factor) * crops for _ in range(4))
        large = enlarge(sprite, factor)
        large = large.crop((left, top, large.width - after, large.height - below))
        if way == "JPEG 80, cropped":  # saved after the crop, so that its blocks are elsewhere
            large = jpeg(large, 1)
        pixels, truth = np.asarray(large), np.asarray(on_white(sprite).convert("RGBA") if "JPEG" in way else sprite)
        grid = find_grid(pixels)
        offsets = -left % factor, -top % factor
        if grid is None or (grid.columns, grid.rows) != tuple((factor, offset) for offset in offsets):
            continue
        right += 1
        small = restore(pixels, grid)
        first = [cut // factor + (cut % factor * 2 >= factor) for cut in (top, left)]  # cells whose center is left
        truth = truth[first[0] : first[0] + small.shape[0], first[1] : first[1] + small.shape[1]]
        if truth.shape != small.shape:
            continue
        equal += np.array_equal(premultiply(small), premultiply(truth))
        differences.append(np.abs(premultiply(small) - premultiply(truth)).mean())
    return right / len(sprites), equal / len(sprites), float(np.median(differences)) if differences else float("nan")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder")
    parser.add_argument("--sprites", type=int, default=200)
    parser.add_argument("--factors", default="2-9")
    parser.add_argument("--others", nargs="*", default=[])
    arguments = parser.parse_args()
    first, last = map(int, arguments.factors.split("-"))
    factors = range(first, last + 1)

    files = find([arguments.folder])
    random.Random(SEED).shuffle(files)
    sprites: list[Image.Image] = []
    for file in files:
        sprite = read_first_frame(file.path).convert("RGBA")
        colors = premultiply(np.asarray(sprite)).reshape(-1, 4)
        if len(sprites) < arguments.sprites and (colors != colors[0]).any():
            sprites.append(sprite)
    print(f"{len(sprites)} sprites of {Path(arguments.folder).name}: grid right in %, pixels equal in %, color\n")
    print("| enlargement | " + " | ".join(f"{factor}x" for factor in factors) + " | all |")
    print("|---" * (len(factors) + 2) + "|")
    for way in WAYS:
        rows = [measure(sprites, way, factor) for factor in factors]
        for name, place, form in (("grid", 0, "{:.1%}"), ("equal", 1, "{:.1%}"), ("color", 2, "{:.2f}")):
            values = [row[place] for row in rows]
            cells = [form.format(value).rstrip("%") for value in (*values, np.nanmean(values))]
            print(f"| {way}: {name} | " + " | ".join(cells) + " |", flush=True)
    for folder in arguments.others:
        found = find([folder])
        grids = sum(find_grid(np.asarray(read_first_frame(file.path))) is not None for file in found)
        print(f"{Path(folder).name}: a grid in {grids} of {len(found)} images ({grids / len(found):.2%})", flush=True)


if __name__ == "__main__":
    main()
