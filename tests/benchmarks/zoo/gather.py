"""Gather the images of sources64.csv: no set of it is under the GPL, share-alike or for non-commercial use only.

Read the licenses of the folders before you add a set: they may differ from that of the repository.

python tests/benchmarks/zoo/gather.py REPOSITORIES OUT

Repositories (GitHub) and packages (Debian, npm) that are not in the folder REPOSITORIES are fetched at the version of
the list. OUT gets one folder of PNG files of 64x64 pixels per kind. Of a file, all images have the same prefix, so that
split=prefix holds them out together. A set that is complete is skipped, so the program goes on where it was stopped.
It needs git, apt-get and npm for what is not there yet, and `pip install resvg-py` for SVG files.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

import numpy as np
import prints
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

SOURCES = Path(__file__).with_name("sources64.csv")
SIZE = 64
MINIMUM_FILE, MAXIMUM_FILE = 60, 30_000_000  # bytes
Image.MAX_IMAGE_PIXELS = 60_000_000
GROUNDS = ["#ffffff", "#ffffff", "#f4ecd8", "#202028", "#5a6e8c", "#88aa66", "#c8b48c", "#7a4a3a", "#b8d4e8"]
WORDS = """
Grand Hotel Circus Oranges Midnight Express Coffee Railway Theatre Saturday Jazz Palace Lemon Tea Fine Goods
Quality Street Harbour Queen Radio Ticket Bazaar Whisky Ox Zebra Fig Journal Voyage Kite Museum 1908 1925 No. 7 & Co.
Sugar Express Yacht Velvet Crown Almanac Dance Vaudeville Exposition Opening Soap"""


def main(repositories: str, out: str) -> None:
    rows = list(csv.DictReader(SOURCES.open(encoding="utf-8")))
    Path(repositories).mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(2) as pool:
        sets = {pool.submit(gather, row, Path(repositories), Path(out)): row["name"] for row in rows}
        for future in as_completed(sets):
            print(sets[future], future.exception() or f"{future.result()} images", flush=True)


def gather(row: dict[str, str], repositories: Path, out: Path) -> int:
    """Write the images of one set, and return their number."""
    done = out / ".done" / row["name"]
    if done.exists():
        return int(done.read_text())
    target = out / row["kind"]
    target.mkdir(parents=True, exist_ok=True)
    wanted, unwanted = re.compile(row["include"] or "."), re.compile(row["exclude"] or "(?!)")
    seen: set[bytes] = set()
    prefix = re.sub("[^a-z0-9]", "", row["name"])  # a group of split=prefix ends at the first dash
    number = 0
    for index, (path, data) in enumerate(files_of(row, repositories, wanted, unwanted)):
        content = hashlib.sha256(data).digest()
        if content in seen:
            continue  # a copy of a file would be another image, on another ground
        seen.add(content)
        chance = random.Random(f"{row['name']} {path}")  # the same crops each time
        try:
            images = MODES[row["mode"]](data, chance, int(row["per_file"]))
        except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
            continue  # not an image, or a broken one
        for view, image in enumerate(images[: int(row["per_file"])]):
            code = fingerprint(image)
            if number < int(row["cap"]) and code not in seen and not blank(image):
                seen.add(code)
                image.save(target / f"{prefix}{index:05}-{view:03}.png")
                number += 1
        if number >= int(row["cap"]):
            break
    done.parent.mkdir(exist_ok=True)
    done.write_text(str(number))
    return number


# Files


def files_of(
    row: dict[str, str], repositories: Path, wanted: re.Pattern[str], unwanted: re.Pattern[str]
) -> Iterator[tuple[str, bytes]]:
    """Yield the paths and contents of the files of a set that its patterns choose, in a random order."""
    system, name = row["origin"].split(":", 1)
    if system == "git":
        folder = repository(repositories, name)
        listing = prints.git(folder, "ls-tree", "-r", "-l", row["version"]).decode(errors="replace").splitlines()
        entries = [re.fullmatch(r"\d+ blob (\w+) +(\d+)\t(.*)", line) for line in listing]
        blobs = {entry[3]: entry[1] for entry in entries if entry and MINIMUM_FILE < int(entry[2]) < MAXIMUM_FILE}
        for path in shuffled(blobs, wanted, unwanted):
            try:
                yield path, prints.git(folder, "cat-file", "blob", blobs[path])
            except subprocess.CalledProcessError:
                continue  # a snapshot of a repository may lack its largest files
        return
    with tarfile.open(archive(system, name, row["version"], repositories)) as package:
        members = {member.name: member for member in package if member.isfile()}
        icons = members.get("package/icons.json")
        if icons:
            drawings = iconify(json.loads(package.extractfile(icons).read()))  # type: ignore[union-attr]
            for path in shuffled(drawings, wanted, unwanted):
                yield path, drawings[path]
            return
        for path in shuffled(members, wanted, unwanted):
            yield path, package.extractfile(members[path]).read()  # type: ignore[union-attr]


def shuffled(paths: Iterable[str], wanted: re.Pattern[str], unwanted: re.Pattern[str]) -> list[str]:
    chosen = sorted(path for path in paths if wanted.search(path) and not unwanted.search(path))
    random.Random(0).shuffle(chosen)
    return chosen


def repository(repositories: Path, name: str) -> Path:
    """Return the folder of a repository, OWNER+NAME, with or without a work tree; clone it if it is not there."""
    folder = repositories / name.replace("/", "+")
    if not folder.exists():
        prints.git(repositories, "clone", "--quiet", f"https://github.com/{name}", folder.name)
    return next((path for path in (folder / "repo" / ".git", folder / "repo") if path.exists()), folder)


def archive(system: str, name: str, version: str, repositories: Path) -> Path:
    """Return the archive of a package, and download it if it is not there."""
    file = (
        repositories
        / f"{name.strip('@').replace('/', '-')}-{version.replace(':', '_')}.{'tgz' if system == 'npm' else 'tar'}"
    )
    if file.exists():
        return file
    if system == "npm":
        subprocess.run(
            ["npm", "pack", "--silent", f"{name}@{version}"], cwd=repositories, capture_output=True, check=True
        )
        return file
    subprocess.run(["apt-get", "download", f"{name}={version}"], cwd=repositories, capture_output=True, check=True)
    package = next(repositories.glob(f"{name}_*.deb"))
    file.write_bytes(subprocess.run(["dpkg-deb", "--fsys-tarfile", package], capture_output=True, check=True).stdout)
    package.unlink()
    return file


def iconify(icons: dict) -> dict[str, bytes]:
    """Return the SVG files of a set of icons."""
    side = icons.get("width", icons.get("height", 16)), icons.get("height", icons.get("width", 16))
    drawings = {}
    for name, icon in icons["icons"].items():
        width, height = icon.get("width", side[0]), icon.get("height", side[1])
        box = f"{icon.get('left', 0)} {icon.get('top', 0)} {width} {height}"
        text = f'<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" viewBox="{box}">'
        drawings[name] = f"{text}{icon['body']}</svg>".encode()
    return drawings


# Images


def read(data: bytes) -> Image.Image:
    if data[:300].lstrip()[:1] == b"<":
        import resvg_py

        text = re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', data.decode(), count=2)  # resvg refuses some points
        data = bytes(resvg_py.svg_to_bytes(svg_string=text, width=4 * SIZE))
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (8 * SIZE, 8 * SIZE))  # JPEG: decode at a smaller size
    return image.convert("RGBA")


def fingerprint(image: Image.Image) -> bytes:
    """Return a code that nearly equal images share: 8 levels of 16x16 means of the colors."""
    return (np.asarray(image.resize((16, 16), Image.Resampling.BOX)) // 32).tobytes()


def blank(image: Image.Image) -> bool:
    return float(np.asarray(image.convert("L")).std()) < 8


def crops(image: Image.Image, chance: random.Random, number: int) -> list[Image.Image]:
    """Return squares of several sizes: first the middle, then random ones of at least 64 pixels."""
    image = prints.on_white(image)
    short = min(image.size)
    if short < SIZE:
        raise ValueError("too small")
    views = [ImageOps.fit(image, (SIZE, SIZE), Image.Resampling.LANCZOS)]
    for _ in range(number - 1):
        side = round(max(SIZE, short * chance.uniform(0.35, 0.9)))
        left, top = chance.randint(0, image.width - side), chance.randint(0, image.height - side)
        crop = image.crop((left, top, left + side, top + side))
        views.append(crop.resize((SIZE, SIZE), Image.Resampling.LANCZOS))
    return [view for view in views if np.asarray(view.convert("L")).std() > 14]


def photo(data: bytes, chance: random.Random, number: int) -> list[Image.Image]:
    return crops(read(data), chance, number)


def swatches(data: bytes, chance: random.Random, number: int) -> list[Image.Image]:
    """Return the textures of an overview, squares of 128 pixels above their names, each whole and a part of it."""
    overview = prints.on_white(read(data))
    views = []
    for top in range(16, overview.height - 128, 176):
        for left in range(16, overview.width - 127, 144):
            texture = overview.crop((left, top, left + 128, top + 128))
            shown = ImageOps.invert(texture).convert("L").point(lambda value: 255 * (value > 8))
            texture = texture.crop(shown.getbbox())  # not all are squares
            if min(texture.size) >= SIZE:
                x, y = chance.randint(0, texture.width - SIZE), chance.randint(0, texture.height - SIZE)
                views += [ImageOps.fit(texture, (SIZE, SIZE)), texture.crop((x, y, x + SIZE, y + SIZE))]
    return views


def book(data: bytes, chance: random.Random, number: int) -> list[Image.Image]:
    """Return views of an image of a book that is no page of text, without its margin."""
    opened = prints.open_print(data)
    return [] if opened is None else crops(opened[1], chance, number)


def on_ground(image: Image.Image, chance: random.Random, side: int = SIZE) -> Image.Image:
    """Return an image with alpha in the middle of a plain color; pixel art is enlarged by a whole factor."""
    image = image.crop(image.getchannel("A").getbbox())
    if max(image.size) < 3:
        raise ValueError("empty")
    factor = side / max(image.size)
    if factor >= 1:
        factor, method = max(1, int(factor)), Image.Resampling.NEAREST
    else:
        method = Image.Resampling.LANCZOS
    image = image.resize((max(1, round(image.width * factor)), max(1, round(image.height * factor))), method)
    ground = Image.new("RGBA", (SIZE, SIZE), chance.choice(GROUNDS))
    ground.alpha_composite(image, ((SIZE - image.width) // 2, (SIZE - image.height) // 2))
    return ground.convert("RGB")


def icon(data: bytes, chance: random.Random, number: int) -> list[Image.Image]:
    image = read(data)
    return [on_ground(image, chance, chance.choice((52, 58, 64))) for _ in range(number)]


def silhouette(data: bytes, chance: random.Random, number: int) -> list[Image.Image]:
    """Return drawings of one color in two colors that differ."""
    alpha = read(data).getchannel("A").resize((SIZE, SIZE), Image.Resampling.LANCZOS)
    views = []
    for _ in range(number):
        colors = [tuple(chance.randrange(256) for _ in range(3)) for _ in range(2)]
        if abs(sum(colors[0]) - sum(colors[1])) < 250:
            colors = [(20, 20, 24), (245, 240, 225)]
        chance.shuffle(colors)
        ink, paper = (Image.new("RGB", alpha.size, color) for color in colors)
        views.append(Image.composite(ink, paper, alpha))
    return views


def sprite(data: bytes, chance: random.Random, number: int) -> list[Image.Image]:
    """Return one object; a longer or larger image is a sheet of several."""
    image = read(data)
    if max(image.size) > min(160, 2.2 * min(image.size)):
        raise ValueError("a sheet")
    return [on_ground(image, chance)]


def cells(image: Image.Image, side: int, chance: random.Random) -> list[Image.Image]:
    """Return the cells of a sheet that are not empty, in a random order."""
    boxes = [
        (x, y, x + side, y + side)
        for y in range(0, image.height - side + 1, side)
        for x in range(0, image.width - side + 1, side)
    ]
    chance.shuffle(boxes)
    parts = [image.crop(box) for box in boxes]
    return [part for part in parts if np.asarray(part.getchannel("A")).astype(bool).mean() > 0.1]


def sheet(side: int) -> Callable[[bytes, random.Random, int], list[Image.Image]]:
    def cut(data: bytes, chance: random.Random, number: int) -> list[Image.Image]:
        return [on_ground(part, chance) for part in cells(read(data), side, chance)[: 2 * number]]

    return cut


def screen(data: bytes, chance: random.Random, number: int) -> list[Image.Image]:
    """Return views of a screen whose pixels are not smoothed: one of all, and parts at their own size or half of it."""
    image = prints.on_white(read(data))
    if min(image.size) < SIZE:
        raise ValueError("too small")
    views = [ImageOps.fit(image, (SIZE, SIZE), Image.Resampling.BOX)]
    for _ in range(number - 1):
        side = chance.choice([side for side in (SIZE, 2 * SIZE, 4 * SIZE) if side <= min(image.size)])
        left, top = chance.randint(0, image.width - side), chance.randint(0, image.height - side)
        views.append(image.crop((left, top, left + side, top + side)).resize((SIZE, SIZE), Image.Resampling.BOX))
    return [view for view in views if np.asarray(view.convert("L")).std() > 28]


def card(data: bytes, chance: random.Random, number: int) -> list[Image.Image]:
    """Return a card on a table, and parts of it."""
    image = read(data)
    return [on_ground(image, chance), *crops(image, chance, number)]


def letters(data: bytes, chance: random.Random, number: int) -> list[Image.Image]:
    """Return one to three lines of words in a font, in two colors."""
    views = []
    for _ in range(number):
        lines = [
            " ".join(chance.sample(WORDS.split(), chance.choice((1, 1, 2)))) for _ in range(chance.choice((1, 1, 2, 3)))
        ]
        if chance.random() < 0.3:
            lines = [chance.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghkmnqrst&0123456789")]
        ink, paper = chance.sample(("#14141a", "#f4ecd8", "#8c1c1c", "#1c3c6c", "#e0b040", "#206040", "#ffffff"), 2)
        image = Image.new("RGB", (4 * SIZE, 4 * SIZE), paper)
        font = ImageFont.truetype(io.BytesIO(data), 100)
        left, top, right, bottom = ImageDraw.Draw(image).multiline_textbbox(
            (0, 0), "\n".join(lines), font, align="center"
        )
        if right - left < 10 or bottom - top < 10:
            raise ValueError("no letters")
        font = ImageFont.truetype(io.BytesIO(data), 100 * min(220 / (right - left), 220 / (bottom - top)))
        middle = (2 * SIZE, 2 * SIZE)
        ImageDraw.Draw(image).multiline_text(middle, "\n".join(lines), ink, font, "mm", align="center")
        views.append(image.resize((SIZE, SIZE), Image.Resampling.LANCZOS))
    return views


MODES = {
    "print": book,
    "photo": photo,
    "texture": photo,
    "swatches": swatches,
    "icon": icon,
    "silhouette": silhouette,
    "sprite": sprite,
    "sheet16": sheet(16),
    "sheet32": sheet(32),
    "screen": screen,
    "card": card,
    "type": letters,
}


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
