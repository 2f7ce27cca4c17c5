"""Gather the prints of zoo:prints64 from the repositories of prints64.csv.

python tests/benchmarks/zoo/prints.py REPOSITORIES OUT

Repositories that are not in the folder REPOSITORIES are cloned from GitHub (about 3 GB in all). OUT gets one folder per
class. A print is an image of at least 200 pixels per side that is no cover, title or page of text and not more than 2.2
times as long as wide, after its blank margin was cut off. Of copies within a book, the largest stays.
"""

from __future__ import annotations

import csv
import io
import re
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

SOURCES = Path(__file__).with_name("prints64.csv")
IMAGES = (".jpg", ".jpeg", ".png", ".gif")
NOT_A_PRINT = re.compile("cover|title|spine|page-images|thumb|epubmobi|colophon|blank")
FILE_SIZES = range(8_000, 4_000_000)  # bytes
SIDE = 200  # minimum side of an image
RATIO = 2.2  # maximum ratio of the sides
STORED_SIDE = 128  # shorter side of the stored prints


def main(repositories: str, out: str) -> None:
    rows = list(csv.DictReader(SOURCES.open()))
    with ProcessPoolExecutor() as pool:
        for row, prints in zip(rows, pool.map(partial(gather, Path(repositories), Path(out)), rows), strict=True):
            print(f"{prints} prints of {row['images']}: {row['title']}")


def gather(repositories: Path, out: Path, row: dict[str, str]) -> int:
    """Write the prints of one book, and return their number."""
    name = row["repository"].split("/")[1]
    folder, target = repositories / name, out / row["class"]
    repositories.mkdir(parents=True, exist_ok=True)
    if not folder.exists():
        git(repositories, "clone", "--quiet", f"https://github.com/{row['repository']}", name)
    target.mkdir(parents=True, exist_ok=True)
    found = prints_of(folder, row["commit"])
    for number, image in enumerate(found):
        stored = image.resize(stored_size(image), Image.Resampling.LANCZOS)
        stored.save(target / f"{short(name)}_{number:03}.png")  # the name decides whether the print is held out
    return len(found)


def short(repository: str) -> str:
    """Return a name for the files of a book: the beginning of its title, and its number."""
    beginning = re.sub("[^a-z0-9]+", "-", repository.lower())[:40].strip("-")
    return f"{beginning}-{repository.rpartition('_')[2]}"


def prints_of(folder: Path, commit: str) -> list[Image.Image]:
    """Return the prints of a repository, each once."""
    found: list[tuple[int, np.ndarray, Image.Image]] = []  # pixels in the file, fingerprint, print
    for blob in image_blobs(folder, commit):
        opened = open_print(git(folder, "cat-file", "blob", blob))
        if opened is None:
            continue
        pixels, image = opened
        code = fingerprint(image)
        copy = next((n for n, (_, other, _) in enumerate(found) if np.count_nonzero(other != code) < 20), None)
        if copy is None:
            found.append((pixels, code, image))
        elif pixels > found[copy][0]:
            found[copy] = (pixels, code, image)
    return [image for _, _, image in found]


def image_blobs(folder: Path, commit: str) -> list[str]:
    """Return the object names of the images of a commit that may be prints."""
    found = []
    for line in git(folder, "ls-tree", "-r", "-l", commit).decode(errors="replace").splitlines():
        entry, path = line.lower().split("\t", 1)
        _, _, blob, size = entry.split()
        if path.endswith(IMAGES) and not NOT_A_PRINT.search(path) and size.isdigit() and int(size) in FILE_SIZES:
            found.append(blob)
    return found


def open_print(data: bytes) -> tuple[int, Image.Image] | None:
    """Return the number of pixels and the print without its margin, or None if the image is not a print."""
    try:
        image = Image.open(io.BytesIO(data))
        pixels = image.width * image.height
        if min(image.size) < SIDE or max(image.size) > RATIO * min(image.size):
            return None
        image.draft("RGB", (512, 512))  # JPEG: decode at a smaller size
        image = without_margin(on_white(image))
    except (OSError, UnidentifiedImageError):
        return None
    blank = np.asarray(image.convert("L").resize((64, 64))).std() < 18
    unfit = min(image.size) < 90 or max(image.size) > RATIO * min(image.size)
    return None if blank or unfit else (pixels, image)


def on_white(image: Image.Image) -> Image.Image:
    if image.mode not in ("P", "LA", "RGBA"):
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, "white")
    white.alpha_composite(image)
    return white.convert("RGB")


def without_margin(image: Image.Image) -> Image.Image:
    """Cut off the margin of a print on light paper: outer rows and columns that are like the border to 99 %."""
    width, height = 256, max(1, round(256 * image.height / image.width))
    gray = np.asarray(image.convert("L").resize((width, height)), dtype=float)
    paper = np.median(np.concatenate([gray[0], gray[-1], gray[:, 0], gray[:, -1]]))
    ink = abs(gray - paper) > 45
    rows, columns = np.flatnonzero(ink.mean(1) > 0.01), np.flatnonzero(ink.mean(0) > 0.01)
    if paper < 150 or len(rows) < 10 or len(columns) < 10:
        return image
    scale = image.width / width
    box = [columns[0] * scale, rows[0] * scale, (columns[-1] + 1) * scale, (rows[-1] + 1) * scale]
    left, top, right, bottom = map(round, box)
    return image.crop((left, top, min(right, image.width), min(bottom, image.height)))


def fingerprint(image: Image.Image) -> np.ndarray:
    """Return 256 bits that are alike for copies of other sizes: whether a pixel is lighter than its left neighbor."""
    gray = np.asarray(image.convert("L").resize((17, 16), Image.Resampling.LANCZOS), dtype=float)
    return (gray[:, 1:] > gray[:, :-1]).ravel()


def stored_size(image: Image.Image) -> tuple[int, int]:
    scale = min(1.0, STORED_SIDE / min(image.size))
    return round(image.width * scale), round(image.height * scale)


def git(folder: Path, *words: str) -> bytes:
    return subprocess.run(["git", "-C", str(folder), *words], capture_output=True, check=True).stdout


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
