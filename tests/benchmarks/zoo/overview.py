"""Make docs/images/zoo.webp: images of the models of the package, and a photograph translated by three of them.

python tests/benchmarks/zoo/overview.py PHOTOGRAPH docs/images/zoo.webp
"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image, ImageOps

import gan

# model, class (None: that of each seed), number of images, of the seeds 0, 1, ...
GENERATED = [
    ("tiles32", "dngn", 8),
    ("tiles32", "item", 8),
    ("tiles32", "mon", 8),
    ("retro64", None, 24),
    ("prints64", None, 16),
]
TRANSLATED = ("press", "engraving", "film")
CELL, GAP, COLUMNS = 64, 4, 8  # pixels; images of 128 pixels take two rows and two columns
PHOTOGRAPH = (408, 272)  # pixels


def main(photograph: str, out: str) -> None:
    generated, translated = all_generated(), all_translated(Path(photograph))
    sheet = Image.new("RGB", (generated.width + translated.width, max(generated.height, translated.height)), "white")
    sheet.paste(generated)
    sheet.paste(translated, (generated.width, 0))
    sheet.save(out, quality=80, method=6)


def all_generated() -> Image.Image:
    """Return the rows of generated images."""
    pitch = CELL + GAP
    rows = [row for name, label, count in GENERATED for row in rows_of(name, label, count)]
    sheet = Image.new("RGB", (COLUMNS * pitch + GAP, sum(row.height for row in rows) + GAP), "white")
    top = GAP
    for row in rows:
        sheet.paste(row, (GAP, top))
        top += row.height
    return sheet


def rows_of(name: str, label: str | None, count: int) -> list[Image.Image]:
    """Return the images of a model in rows. Images of less than 64 pixels are enlarged."""
    images = gan.load(f"zoo:{name}").sample(count, label=label)
    cells = max(1, images[0].width // CELL)  # columns and rows of an image
    pitch, per_row = cells * (CELL + GAP), COLUMNS // cells
    rows = []
    for start in range(0, count, per_row):
        row = Image.new("RGB", (COLUMNS * (CELL + GAP), pitch), "white")
        for n, image in enumerate(images[start : start + per_row]):
            large = image.resize((pitch - GAP, pitch - GAP), Image.Resampling.NEAREST if cells == 1 else None)
            row.paste(large, (n * pitch, 0), large if large.mode == "RGBA" else None)
        rows.append(row)
    return rows


def all_translated(path: Path) -> Image.Image:
    """Return the photograph and its translations in two rows."""
    with Image.open(path) as image:
        photograph = ImageOps.fit(image.convert("RGB"), PHOTOGRAPH)
    images = [photograph, *(gan.translate(f"zoo:{name}", photograph) for name in TRANSLATED)]
    width, height = PHOTOGRAPH[0] + GAP, PHOTOGRAPH[1] + GAP
    sheet = Image.new("RGB", (2 * width, 2 * height - GAP), "white")
    for n, image in enumerate(images):
        sheet.paste(image, (GAP + n % 2 * width, n // 2 * height))
    return sheet


if __name__ == "__main__":
    main(*sys.argv[1:])
