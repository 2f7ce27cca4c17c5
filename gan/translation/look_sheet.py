"""All looks of an image side by side: look:all."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from gan.translation.image_translator import ImageFunction, Look

SIDE = 256  # pixels of the longer side of each image
LABEL = 18  # pixels of the strip with the name
GAP = 6
COLUMNS = 5


class LookSheet(ImageFunction):
    """Gives a sheet of an image, reduced to SIDE, in all looks, with their names."""

    recorded = ("all",)

    def __call__(self, pixels: np.ndarray, number: int) -> np.ndarray:
        from gan.looks.registry import STYLES  # imports scipy

        small = Image.fromarray(pixels)
        small.thumbnail((SIDE, SIDE))
        shown = {"input": small} | {name: Image.fromarray(Look(name)(np.asarray(small), number)) for name in STYLES}
        width, height = small.width + GAP, small.height + LABEL
        rows = -(-len(shown) // COLUMNS)
        sheet = Image.new("RGB", (COLUMNS * width + GAP, rows * height + GAP), "white")
        draw = ImageDraw.Draw(sheet)
        for place, (name, image) in enumerate(shown.items()):
            left, top = place % COLUMNS * width + GAP, place // COLUMNS * height
            draw.text((left, top + GAP // 2), name.replace("_", " "), "black")
            sheet.paste(image, (left, top + LABEL))
        return np.asarray(sheet)
