"""Tools for drawing the retro images: colors, a pen, objects, and the class of sprites."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from gan.utils.colors import inks

Rng = np.random.Generator
Color = tuple[int, ...]  # red, green, blue in 0..255
Item = TypeVar("Item")

GLYPHS = {  # 3 x 5 bits per letter: one octal digit per row, from the top
    "A": "25755", "B": "65656", "C": "74447", "D": "65556", "E": "74647", "F": "74644", "H": "55755", "I": "72227",
    "J": "11157", "K": "55655", "L": "44447", "M": "57755", "N": "65555", "O": "75557", "P": "75744", "R": "75765",
    "S": "74717", "T": "72222", "U": "55557", "Y": "55722",
}  # fmt: skip


def pick(rng: Rng, items: Sequence[Item]) -> Item:
    return items[int(rng.integers(len(items)))]


def mix(a: Color, b: Color, amount: float) -> Color:
    return tuple(round(p + (q - p) * amount) for p, q in zip(a, b, strict=True))


def vary(rng: Rng, colors: list[Color], spread: float) -> list[Color]:
    """Return the colors after a random shift of each and a random common shift, as in another print of a design."""
    shift = rng.normal(0, spread, (len(colors), 3)) + rng.normal(0, spread, 3)
    return [tuple(row) for row in np.clip(colors + shift, 0, 255).astype(int).tolist()]


def path(x: np.ndarray, y: np.ndarray) -> list[tuple[float, float]]:
    return list(zip(x.tolist(), y.tolist(), strict=True))


class Pen(NamedTuple):
    """Draws in a coordinate system with `origin` in pixels and `scale` in pixels per unit of x and y; y points down."""

    image: Image.Image
    origin: tuple[float, float]
    scale: tuple[float, float]

    @classmethod
    def sheet(cls, height: int, width: int, color: Color = (0, 0, 0)) -> Pen:
        """Return a pen on a new sheet from (0, 0) to (1, 1), larger than the image for antialiasing."""
        factor = min(8, max(2, 256 // max(height, width)))
        image = Image.new("RGB", (width * factor, height * factor), color)
        return cls(image, (0.0, 0.0), image.size)

    def at(self, x: float, y: float, size: float) -> Pen:
        """Return a pen for one object at (x, y), with `size` of the shorter side as its unit."""
        unit = size * min(self.scale)
        return Pen(self.image, self.pixel(x, y), (unit, unit))

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        return self.origin[0] + x * self.scale[0], self.origin[1] + y * self.scale[1]

    def shape(self, color: Color, *points: tuple[float, float]) -> None:
        ImageDraw.Draw(self.image).polygon([self.pixel(*point) for point in points], fill=color)

    def box(self, color: Color, left: float, top: float, right: float, bottom: float) -> None:
        self.shape(color, (left, top), (right, top), (right, bottom), (left, bottom))

    def line(self, color: Color, thickness: float, *points: tuple[float, float]) -> None:
        thick = max(1, round(thickness * min(self.scale)))
        ImageDraw.Draw(self.image).line([self.pixel(*point) for point in points], color, thick, joint="curve")

    def disc(self, color: Color, x: float, y: float, radius: float, squash: float = 1.0) -> None:
        (cx, cy), r = self.pixel(x, y), radius * min(self.scale)
        ImageDraw.Draw(self.image).ellipse((cx - r, cy - r * squash, cx + r, cy + r * squash), fill=color)

    def gradient(self, upper: Color, lower: Color, top: float, bottom: float) -> None:
        first, last = (round(y * self.image.height) for y in (top, bottom))
        ramp = np.linspace(upper, lower, last - first).astype(np.uint8)[:, None]
        self.image.paste(Image.fromarray(ramp).resize((self.image.width, last - first)), (0, first))

    def frame(self, color: Color, thickness: float) -> None:
        thick = round(thickness * min(self.scale))
        ImageDraw.Draw(self.image).rectangle((0, 0, *self.image.size), outline=color, width=thick)

    def pixels(self, height: int, blur: float = 0.0) -> np.ndarray:
        """Return the image, uint8 (height, width, 3); `blur` is a fraction of the shorter side."""
        image = self.image.filter(ImageFilter.GaussianBlur(blur * min(self.image.size)))
        return np.asarray(image.reduce(image.height // height))


def lettering(pen: Pen, word: str, color: Color) -> None:
    """Write a word at the bottom of the sheet."""
    wide, high = min(0.8 / (4 * len(word) - 1), 0.055), 0.019
    left = 0.5 - wide * (4 * len(word) - 1) / 2
    for row in range(5):
        bits = "0".join(f"{int(GLYPHS[letter][row]):03b}" for letter in word)
        for column in (i for i, bit in enumerate(bits) if bit == "1"):
            x, y = left + column * wide, 0.827 + row * high
            pen.box(color, x, y, x + wide, y + high)


# Objects: hills and towers span the sheet. The sun is centered on the origin of its pen. The others stand on the origin
# and are about one unit high.


def ridge(rng: Rng, base: float, height: float, jagged: bool) -> list[tuple[float, float]]:
    """Return the outline of hills or jagged peaks above `base`, as a polygon that is closed below the image."""
    x = np.linspace(0, 1, 49)
    if jagged:
        knots = np.linspace(-0.1, 1.1, 2 * int(rng.integers(3, 6)) + 1)
        tops = rng.uniform(0.6, 1, len(knots)) * np.resize((0.4, 1), len(knots))
        y = np.interp(x, knots + rng.uniform(-0.04, 0.04, len(knots)), tops)
    else:
        y = 0.5 + np.array((0.28, 0.14, 0.08)) @ np.sin(rng.uniform(2, 9, (3, 1)) * x + rng.uniform(0, 6.3, (3, 1)))
    return [*path(x, base - height * y), (1.0, 1.1), (0.0, 1.1)]


def range_with_snow(pen: Pen, rng: Rng, base: float, height: float, rock: Color, snow: Color) -> None:
    outline = ridge(rng, base, height, jagged=True)
    pen.shape(snow, *outline)
    pen.shape(rock, *((x, y + 0.05 + 0.02 * (i % 3)) for i, (x, y) in enumerate(outline)))


def skyline(pen: Pen, rng: Rng, base: float, height: float, wall: Color, window: Color) -> None:
    """Draw towers with lit windows across the whole image, highest in the middle, some with a spire."""
    x = -0.02
    while x < 1:
        wide = rng.uniform(0.07, 0.15)
        top = base - height * rng.uniform(0.4, 1) * (1 - 0.9 * abs(x + wide / 2 - 0.5))
        pen.box(wall, x, top, x + wide, base + 0.01)
        if rng.random() < 0.5:
            pen.box(wall, x + wide * 0.25, top - height * 0.14, x + wide * 0.75, top)
            pen.line(wall, 0.012, (x + wide / 2, top), (x + wide / 2, top - height * 0.32))
        for row in np.arange(top + 0.025, base - 0.02, 0.045):
            for column in (0.2, 0.6):
                if rng.random() < 0.45:
                    pen.box(window, x + wide * column, row, x + wide * (column + 0.22), row + 0.02)
        x += wide + rng.uniform(0, 0.02)


def palm(pen: Pen, color: Color, lean: float) -> None:
    pen.shape(color, (-0.05, 0), (lean * 0.3 - 0.03, -0.45), (lean - 0.02, -0.8), (lean + 0.02, -0.8),
              (lean * 0.3 + 0.03, -0.45), (0.05, 0))  # fmt: skip
    t = np.linspace(0, 1, 7)
    for angle in np.linspace(-0.5, np.pi + 0.5, 7):
        x = lean + 0.42 * np.cos(angle) * t
        y = -0.8 - 0.36 * np.sin(angle) * t + 0.26 * t**2  # a frond bends under its weight
        leaf = 0.055 * np.sin(np.pi * t**0.7)
        pen.shape(color, *path(np.r_[x, x[::-1]], np.r_[y - leaf, (y + leaf)[::-1]]))


def pine(pen: Pen, color: Color) -> None:
    for top, wide in ((-1.0, 0.18), (-0.75, 0.26), (-0.45, 0.34)):
        pen.shape(color, (0, top), (wide, top + 0.4), (-wide, top + 0.4))
    pen.box(color, -0.05, -0.1, 0.05, 0)


def tree(pen: Pen, rng: Rng) -> None:
    leaf = mix((50, 70, 40), (110, 110, 60), rng.random())
    pen.line((60, 45, 35), 0.09, (0, 0), (0, -0.6))
    for x, y, radius in rng.normal((0, -0.7, 0.17), (0.16, 0.12, 0.03), (9, 3)).tolist():
        pen.disc(mix(leaf, (225, 225, 170), max(0.0, -0.25 * (y + 0.5)) + rng.uniform(0, 0.15)), x, y, radius)


def sailboat(pen: Pen, hull: Color, sail: Color) -> None:
    pen.shape(sail, (0.03, -0.2), (0.03, -1), (0.5, -0.2))
    pen.shape(sail, (-0.03, -0.2), (-0.03, -0.85), (-0.38, -0.2))
    pen.shape(hull, (-0.5, -0.14), (0.55, -0.14), (0.38, 0.05), (-0.36, 0.05))


def steamer(pen: Pen, hull: Color, deck: Color, funnel: Color) -> None:
    pen.box(deck, -0.6, -0.42, 0.6, -0.2)
    for x in (-0.35, 0.0, 0.35):
        pen.shape(funnel, (x - 0.08, -0.4), (x - 0.12, -0.85), (x + 0.04, -0.85), (x + 0.08, -0.4))
        pen.box(hull, x - 0.125, -0.88, x + 0.045, -0.78)
    pen.shape(hull, (-1.05, -0.25), (1.1, -0.25), (0.9, 0.05), (-0.95, 0.05))


def car(pen: Pen, body: Color, glass: Color, tyre: Color) -> None:
    pen.shape(body, (-0.7, -0.5), (-0.42, -0.95), (0.25, -0.95), (0.55, -0.5))
    pen.shape(glass, (-0.52, -0.52), (-0.34, -0.85), (-0.1, -0.85), (-0.1, -0.52))
    pen.shape(glass, (-0.02, -0.52), (-0.02, -0.85), (0.2, -0.85), (0.38, -0.52))
    pen.shape(body, (-1.3, -0.12), (-1.25, -0.55), (0.6, -0.58), (1.2, -0.45), (1.3, -0.12))
    for x in (-0.75, 0.75):
        pen.disc(tyre, x, -0.13, 0.24)
        pen.disc(glass, x, -0.13, 0.1)


def sports_car(pen: Pen, edge: Color, lamp: Color) -> None:
    """Draw a sports car from behind."""
    roof = ((-0.75, -0.55), (-0.5, -0.9), (0.5, -0.9), (0.75, -0.55))
    pen.shape((14, 8, 26), *roof)
    pen.box((14, 8, 26), -1, -0.56, 1, -0.15)
    pen.line(edge, 0.08, (-1, -0.56), *roof, (1, -0.56), (-1, -0.56))
    for side in (-1, 1):
        pen.box((2, 1, 8), side * 0.75 - 0.2, -0.16, side * 0.75 + 0.2, 0.03)
        pen.box(lamp, side * 0.65 - 0.28, -0.45, side * 0.65 + 0.28, -0.28)


def striped_sun(pen: Pen, above: Color, below: Color, stripes: float) -> None:
    for top, bottom in pairwise(np.linspace(-1, 1, 81).tolist()):
        if bottom < -0.1 or (bottom + 0.1) * stripes % 1 > 0.4 + 0.25 * bottom:
            first, last = np.sqrt((1 - top**2, 1 - bottom**2)).tolist()
            pen.shape(mix(above, below, (top + 1) / 2), (-first, top), (first, top), (last, bottom), (-last, bottom))


# Sprites: a symmetric figure of 16 x 16 cells, in the palette of an old machine.

MACHINES = (  # outline and grounds | ramps of shade, body and light
    "0f380f 9bbc0f 8bac0f | 306230 306230 8bac0f | 306230 8bac0f 9bbc0f | 0f380f 306230 306230",  # Game Boy
    "000000 000000 ffffff 55ffff | ff55ff ff55ff ffffff | 55ffff 55ffff ffffff",  # CGA, palette 1
    "000000 000000 ffff55 55ff55 | ff5555 ff5555 ffff55 | 55ff55 55ff55 ffff55",  # CGA, palette 0
    "000000 352879 6c5eb5 588d43 | 68372b 9a6759 b8c76f | 433900 6f4f25 b8c76f | 444444 959595 ffffff"
    " | 6f3d86 6c5eb5 70a4b2 | 588d43 9ad284 ffffff",  # Commodore 64
    "000000 000000 3cbcfc 0058f8 fcfcfc | a81000 f83800 fca044 | 005800 00a800 b8f818 | 503000 ac7c00 f8b800"
    " | 940084 d800cc f878f8 | 0000bc 6888fc a4e4fc",  # NES
    "000000 000000 00d7d7 0000d7 d7d7d7 | d70000 ff0000 ffff00 | d700d7 ff00ff ffffff | 00d700 00ff00 ffff00"
    " | 0000ff 00ffff ffffff",  # ZX Spectrum
    "000000 1d2b53 29adff fff1e8 | 7e2553 ff004d ff77a8 | 008751 00e436 ffec27 | ab5236 ffa300 ffec27"
    " | 83769c c2c3c7 fff1e8 | 5f574f ffccaa fff1e8",  # PICO-8
)

# Each function draws the right half of a figure, int (14, 7), from the middle to the right: 0 empty, 1 to 3 a ramp,
# 4 white, 5 outline.


def invader(rng: Rng, part: np.ndarray) -> None:
    reach = np.clip(np.cumsum(rng.integers(-1, 3, 8)) + 2, 2, 6)
    part[3:11][np.arange(7) <= reach[:, None]] = 1
    part[3:11, 1:][rng.random((8, 6)) < 0.12] = 0
    part[3:11, :2][rng.random((8, 2)) < 0.25] = 2
    feeler, leg, eye, row = rng.integers((1, 0, 1, 4), (5, 5, 3, 7)).tolist()
    part[1:4, feeler] = part[0, feeler + int(rng.integers(-1, 2))] = 3
    part[10:13, (leg, min(6, leg + int(rng.integers(2, 4))))] = part[13, leg : leg + 2] = 1
    part[row : row + 2, eye : eye + 2] = 4
    part[row + 1, eye] = 5


def hero(rng: Rng, part: np.ndarray) -> None:
    head, chest, hip = rng.integers((3, 3, 3), (6, 6, 5)).tolist()
    skin, shirt, trousers = (rng.permutation(3) + 1).tolist()
    part[1:6, :head] = skin
    part[int(rng.integers(0, 2)) : int(rng.integers(2, 4)), : head + int(rng.integers(0, 3))] = trousers  # a hat
    part[3:5, 1] = (4, 5)
    part[6:10, :chest] = shirt
    part[6 : int(rng.integers(7, 10)), chest] = shirt
    part[int(rng.integers(8, 10)), chest : chest + 2] = skin
    part[9, :chest] = pick(rng, (5, trousers, shirt))
    part[10:13, :hip] = trousers
    part[11:, : int(rng.integers(1, 3))] = 0
    part[13, hip - 1 : hip + 1] = pick(rng, (skin, shirt, 5))


def monster(rng: Rng, part: np.ndarray) -> None:
    rows, columns = np.mgrid[:14, :7]
    middle, tall, wide = rng.uniform((6, 5, 4.3), (8, 6.5, 7)).tolist()
    body = np.abs((rows - middle) / tall) ** 2.4 + np.abs((columns + 0.5) / wide) ** 2.4 < 1
    part[body] = 1
    part[(rows > middle + 1) & (columns < rng.integers(1, 4)) & body] = pick(rng, (1, 2, 3))
    horn, toe, gap = rng.integers((1, 0, 2), (5, 3, 5)).tolist()
    part[int(rng.integers(0, 3)) : int(middle - tall * 0.5), horn : horn + int(rng.integers(1, 3))] = 3
    part[12:, toe : int(wide) : gap] = 2
    row, eye, size, mouth, grin = rng.integers((3, 0, 2, 8, 2), (6, 3, 4, 11, 5)).tolist()
    part[row : row + size, eye : eye + size] = 4
    part[row + 1 : row + size, eye : eye + size - 1] = part[mouth : mouth + 2, :grin] = 5
    part[mouth, int(rng.integers(0, 2)) : grin : 2] = 4


def ship(rng: Rng, part: np.ndarray) -> None:
    rows, columns = np.mgrid[:12, :7]
    root, tip, sweep, depth = rng.uniform((4, 4, -0.2, 2), (9, 7, 1.2, 6)).tolist()
    start = root + sweep * columns
    part[:12][(rows >= start) & (rows <= root + depth + 0.4 * columns) & (columns < tip)] = 2
    part[:12][columns <= rng.uniform(0, 0.8) + rows * rng.uniform(0.05, 0.25)] = 1
    stripe, cockpit, engine = rng.integers((7, 3, 0), (11, 7, 4)).tolist()
    part[stripe, part[stripe] == 2] = pick(rng, (1, 3))
    part[int(rng.integers(3, 8)) : int(rng.integers(9, 12)), int(tip) - 1] = pick(rng, (1, 3))  # a gun
    part[cockpit : cockpit + int(rng.integers(2, 4)), : int(rng.integers(1, 3))] = 4
    part[12 : int(rng.integers(13, 15)), engine : engine + 2] = 3


FIGURES = (invader, hero, monster, ship)


def sprite(rng: Rng, height: int, width: int) -> np.ndarray:
    (outline, *grounds), *ramps = (inks(colors) for colors in pick(rng, MACHINES).split("|"))
    white = max(grounds, key=sum)
    field, pattern = (grounds[i] for i in rng.permutation(len(grounds))[:2])
    ramps = [ramps[i] for i in np.resize(rng.permutation(len(ramps)), 3)]
    cell = min(height, width) // 16  # pixels
    rows, columns = np.mgrid[: -(-height // cell), : -(-width // cell)]
    tile = int(rng.integers(2, 5))
    plain = np.zeros(rows.shape, bool)
    marked = pick(rng, (
        plain, plain, plain,
        (rows // tile + columns // tile) % 2 == 1,
        (rows + tile) % 4 + (columns + rows // 4 * 2) % 4 == 0,
        ((rows + tile) % 4 == 3) | ((columns + (rows + tile) // 4 * 3) % 6 == 0),
        rows > rows.max() - tile,
    ))  # fmt: skip
    image: np.ndarray = np.where(marked[..., None], pattern, field).astype(np.uint8)

    half = np.zeros((14, 7), int)
    pick(rng, FIGURES)(rng, half)
    part = np.pad(np.hstack((half[:, ::-1], half)), 1)  # (16, 16)
    solid = np.pad(part > 0, 1)
    above, below, left, right = solid[:-2, 1:-1], solid[2:, 1:-1], solid[1:-1, :-2], solid[1:-1, 2:]
    tone = np.clip(1 + (~above | ~left) - 1 * (~below | ~right), 0, 2)  # lit from the upper left
    colors = np.array([[outline] * 3, *ramps, [white] * 3, [outline] * 3])
    top, start = (rows.shape[0] - 16) // 2, (rows.shape[1] - 16) // 2
    inked = (part > 0) | above | below | left | right
    image[top : top + 16, start : start + 16][inked] = colors[part, tone][inked]
    return image.repeat(cell, axis=0).repeat(cell, axis=1)[:height, :width]
