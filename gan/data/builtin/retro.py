"""Procedurally generated retro images, for training a GAN without a download: the dataset `data=retro`.

Each of the four classes has a layout that a small GAN learns in minutes, with random palettes, objects and positions.
All random choices except grain are in fractions of the image or in cells of a sprite, so that (seed, index) gives the
same scene at every size.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageFilter

from gan.data.builtin.shapes import (
    Color,
    Pen,
    Rng,
    car,
    lettering,
    mix,
    palm,
    path,
    pick,
    pine,
    range_with_snow,
    ridge,
    sailboat,
    skyline,
    sports_car,
    sprite,
    steamer,
    striped_sun,
    tree,
    vary,
)
from gan.data.decoding.decode import Decoder
from gan.looks.fields import toned
from gan.utils.colors import inks
from gan.utils.errors import UserError

CLASSES: tuple[str, ...] = ("poster", "sprite", "photograph", "neon")
SIDES = range(16, 257)  # pixels
MAX_IMAGES = 1_000_000  # in data.num_images, which a run folder from someone else may set
SEED = 0  # the same images for all seeds of a run, so that runs are comparable


def draw(seed: int, index: int, height: int, width: int) -> np.ndarray:
    """Return image `index` of the endless dataset `seed`: RGB, uint8 (height, width, 3), of class CLASSES[index % 4].

    This is a pure function: with the same versions of NumPy and Pillow, it returns the same bytes in any process and
    order. Seed and index must be at least 0.
    """
    if height not in SIDES or width not in SIDES:
        raise UserError(f"data.size={height}x{width}: data=retro supports sides of 16 to 256 pixels")
    draw_class = (poster, sprite, photograph, neon)[index % len(CLASSES)]
    return draw_class(np.random.default_rng((seed, index)), height, width)


class BuiltinImages:
    """The first `count` images of `draw` in the given classes, generated at the training size."""

    where = "data=retro"
    title = "generating retro images"
    trusted = True

    def __init__(self, count: int, classes: Sequence[str] = CLASSES) -> None:
        unknown = [name for name in classes if name not in CLASSES]
        if unknown or not classes or len(set(classes)) < len(classes):
            raise UserError(f"data.classes={list(classes)} must be a list of {', '.join(CLASSES)}, each once")
        if count > MAX_IMAGES:
            raise UserError(f"data.num_images={count}: use at most {MAX_IMAGES:,}")
        self.class_names = list(classes)
        numbers = [CLASSES.index(name) for name in self.class_names]
        self.identity = ["retro", SEED]
        self.keys = self.names = [
            str(index // len(numbers) * len(CLASSES) + numbers[index % len(numbers)]) for index in range(count)
        ]
        self.stamps = [0] * count

    def classes(self, option: bool | str) -> tuple[list[str], list[int]]:
        return self.class_names, [index % len(self.class_names) for index in range(len(self.keys))]

    def content(self, index: int) -> bytes:
        return self.keys[index].encode()

    def decode(self, data: bytes, decoder: Decoder) -> Iterator[np.ndarray]:
        yield decoder.fit_image(Image.fromarray(draw(SEED, int(data), *decoder.size)))


# Posters: flat inks; a sun over a coast, a city or a road; a frame and a word.

POSTER_INKS = (  # paper, sky, sun, far, middle, near, accent
    "f4e3c1 f2b35b d9472b c9772f 2f6f73 1f3a4d d9472b",
    "f7ecd0 7fc4c0 f6c445 4b9aa0 2c6e7a 1b3c4f e4572e",
    "f3e2bd f0936b f9d977 b5546b 6d3b63 35234a f9d977",
    "faf0d7 a9d6e5 f2a541 e8795a 3d8361 244f45 c8342d",
    "efe0b9 e9c46a e76f51 8ab17d 2a9d8f 264653 e76f51",
    "f6e7c8 27476e f4d06f ff8811 9dd9d2 392f5a ff8811",
    "f5e6ca c84630 f7d488 8c2f39 54252e 2a1a1f f7d488",
    "f8efd8 f5cfa0 ef6f4c 7aa6a1 456b82 283b5b c03a2b",
    "f1e4c3 6ba292 f7e0a3 35786b 1f5673 12263a e3a02f",
    "f6ead2 f7c59f e0483e 5a8ca8 33658a 2b2d42 f6ae2d",
)
WORDS = "RIO NICE CAPRI ROMA PARIS MIAMI LIDO CUBA ALPS BALI TOKYO OSLO PERU NEPAL MALTA CAIRO HAITI LIMA FIJI"


def poster(rng: Rng, height: int, width: int) -> np.ndarray:
    paper, sky, sun, far, middle, near, accent = vary(rng, inks(pick(rng, POSTER_INKS)), 7)
    pen = Pen.sheet(height, width, sky)
    horizon = rng.uniform(0.5, 0.6)
    poster_sky(pen, rng, horizon, sky, sun, mix(sky, sun if sum(sun) > sum(sky) else paper, 0.4))

    land = pick(rng, ("hills", "peaks", "city", "open"))
    if land == "hills":
        pen.shape(far, *ridge(rng, horizon, 0.16, jagged=False))
    elif land == "peaks":
        range_with_snow(pen, rng, horizon + 0.02, rng.uniform(0.22, 0.34), far, paper)
    elif land == "city":
        skyline(pen, rng, horizon, rng.uniform(0.2, 0.32), far, paper)

    ground = pick(rng, ("sea", "road", "fields"))
    if ground == "sea":
        pen.box(middle, 0, horizon, 1, 1)
        for row in np.arange(horizon + 0.035, 0.85, 0.055):
            start = rng.uniform(-0.3, 0.6)
            pen.box(mix(middle, paper, 0.45), start, row, start + rng.uniform(0.2, 0.5), row + 0.014)
        boat = pen.at(rng.uniform(0.3, 0.7), horizon + rng.uniform(0.04, 0.13), rng.uniform(0.18, 0.3))
        if rng.random() < 0.6:
            sailboat(boat, near, paper)
        else:
            steamer(boat, near, paper, accent)
    else:
        pen.shape(middle, *ridge(rng, horizon + 0.06, 0.1, jagged=False))
        pen.shape(near, *ridge(rng, horizon + 0.2, 0.14, jagged=False))
    if ground == "road":
        t = np.linspace(0, 1, 12)  # from the foot to the horizon
        middle_x = 0.5 + rng.uniform(-0.2, 0.2) * t + rng.uniform(-0.2, 0.2) * np.sin(rng.uniform(2, 5) * t) * (1 - t)
        half, y = 0.26 * (1 - t) ** 1.7 + 0.012, 0.82 + (horizon + 0.05 - 0.82) * t**0.8
        pen.shape(paper, *path(np.r_[middle_x - half, (middle_x + half)[::-1]], np.r_[y, y[::-1]]))
        if rng.random() < 0.6:
            car(pen.at(middle_x[0], 0.78, rng.uniform(0.13, 0.18)), accent, paper, near)
    elif rng.random() < 0.6:
        side = pick(rng, (-1, 1))
        plant = pen.at(0.5 - side * rng.uniform(0.24, 0.34), 0.86, rng.uniform(0.5, 0.7))
        if land == "peaks":
            pine(plant, near)
        else:
            palm(plant, near, side * rng.uniform(0.02, 0.2))

    band, letters = pick(rng, ((near, paper), (paper, near), (accent, paper if sum(accent) < 420 else near)))
    pen.box(band, 0, 0.8, 1, 1)
    lettering(pen, pick(rng, WORDS.split()), letters)
    pen.frame(paper, rng.uniform(0.04, 0.065))
    return pen.pixels(height)


def poster_sky(pen: Pen, rng: Rng, horizon: float, sky: Color, sun: Color, halo: Color) -> None:
    x, y, radius = rng.uniform((0.3, 0.27, 0.13), (0.7, 0.4, 0.2)).tolist()
    design = pick(rng, ("rays", "rays", "rings", "bands", "plain"))
    if design == "rays":
        angles = np.linspace(0, 2 * np.pi, 2 * int(rng.integers(7, 13)) + 1) + rng.uniform(0, 1)
        rim = path(x + 2 * np.cos(angles), y + 2 * np.sin(angles))
        for first, last in zip(rim[:-1:2], rim[1::2], strict=True):
            pen.shape(halo, (x, y), first, last)
    elif design == "rings":
        for size, strength in ((2.2, 0.5), (1.6, 1)):
            pen.disc(mix(sky, halo, strength), x, y, radius * size)
    elif design == "bands":
        for depth, strength in ((0.26, 0.5), (0.13, 1)):
            pen.box(mix(sky, halo, strength), 0, horizon - depth, 1, 1)
    pen.disc(sun, x, y, radius)


# Photographs: blurred scenes in natural colors, then the toning and aging of the print.


def portrait(pen: Pen, rng: Rng) -> None:
    wall = mix((90, 85, 80), (195, 190, 180), rng.random())
    pen.gradient(wall, mix(wall, (0, 0, 0), 0.45), 0, 1)
    x = rng.uniform(0.44, 0.56)
    pen.disc(mix(wall, (255, 255, 255), 0.2), x, 0.42, 0.42)
    skin = mix((235, 190, 160), (120, 82, 60), rng.random() ** 1.5)
    hair = mix((30, 25, 22), (170, 140, 100), rng.random() ** 2)
    cloth = mix(pick(rng, inks("3a2a25 202c38 2c3826 40283a")), (190, 180, 165), rng.random() ** 2)
    sitter = pen.at(x, 0.43, rng.uniform(0.95, 1.15))
    sitter.disc(hair, 0, 0.02, pick(rng, (0.1, 0.23)), 1.2)  # short or long
    sitter.disc(cloth, 0, 0.62, 0.42, 0.8)
    sitter.box(mix(skin, (0, 0, 0), 0.25), -0.07, 0.1, 0.07, 0.34)
    sitter.shape((225, 220, 210), (-0.11, 0.27), (0.11, 0.27), (0, 0.5))
    if rng.random() < 0.6:
        sitter.shape(mix(cloth, (0, 0, 0), 0.5), (-0.04, 0.34), (0.04, 0.34), (0.03, 0.56), (-0.03, 0.56))
    sitter.disc(hair, 0, -0.05, 0.175, 1.15)
    sitter.disc(skin, 0, 0.02, 0.15, 1.3)
    sitter.disc(mix(skin, (255, 255, 255), 0.25), -0.04, 0.0, 0.08, 1.5)
    for eye in (-0.06, 0.06):
        sitter.disc((30, 25, 25), eye, 0.0, 0.022)
    sitter.line(mix(skin, (60, 20, 20), 0.7), 0.02, (-0.045, 0.115), (0.045, 0.115))
    if rng.random() < 0.3:
        sitter.shape(hair, (-0.08, 0.1), (0, 0.055), (0.08, 0.1))
    if rng.random() < 0.5:
        sitter.box(hair, -0.15, -0.11 - rng.uniform(0.1, 0.24), 0.15, -0.1)
        sitter.disc(hair, 0, -0.11, rng.uniform(0.2, 0.34), 0.18)


def house(pen: Pen, rng: Rng) -> None:
    wall, roof = mix((235, 225, 200), (150, 110, 90), rng.random()), mix((60, 45, 45), (140, 60, 45), rng.random())
    tree(pen.at(pick(rng, (0.12, 0.88)), 0.7, rng.uniform(0.35, 0.6)), rng)
    home = pen.at(rng.uniform(0.42, 0.58), rng.uniform(0.7, 0.78), rng.uniform(0.42, 0.55))
    wide, high, left, right = rng.uniform((0.45, 0.4, 0, 0), (0.65, 0.7, 0.4, 0.4)).tolist()
    home.box(roof, wide * 0.4, -high - 0.45, wide * 0.4 + 0.12, -high)
    home.box(wall, -wide, -high, wide, 0)
    home.box(mix(wall, (0, 0, 0), 0.3), wide * 0.5, -high, wide, 0)
    home.shape(roof, (-wide - 0.1, -high), (-left, -high - 0.4), (right, -high - 0.4), (wide + 0.1, -high))
    home.box((50, 40, 35), -0.08, -0.3, 0.08, 0)
    for x in (-wide * 0.6, wide * 0.6):
        for y in (-0.26, -0.56)[: 1 + (high > 0.62)]:
            home.box((55, 60, 70), x - 0.09, y - 0.08, x + 0.09, y + 0.08)
    for x in np.arange(0.02, pick(rng, (0, 1)), 0.07):
        pen.box((225, 220, 210), x, 0.8, x + 0.025, 0.9)


def grove(pen: Pen, rng: Rng) -> None:
    for size in np.sort(rng.uniform(0.2, 0.75, int(rng.integers(2, 6)))):
        tree(pen.at(rng.uniform(0.1, 0.9), 0.58 + 0.35 * size, size), rng)


def lake(pen: Pen, rng: Rng) -> None:
    range_with_snow(pen, rng, 0.62, rng.uniform(0.28, 0.42), (105, 110, 120), (240, 240, 240))
    pen.shape((70, 80, 75), *ridge(rng, 0.64, 0.12, jagged=False))
    pen.gradient((190, 195, 200), (90, 100, 110), 0.62, 1)
    for _ in range(int(rng.integers(2, 7))):
        pine(pen.at(rng.uniform(0, 1), rng.uniform(0.75, 0.95), rng.uniform(0.2, 0.45)), (35, 45, 38))


def sea(pen: Pen, rng: Rng) -> None:
    pen.shape((120, 125, 125), *ridge(rng, 0.62, rng.uniform(-0.1, 0.2), jagged=False))  # a coast, or none
    pen.gradient((165, 175, 180), (70, 85, 95), 0.6, 1)
    for x, y in rng.uniform((0, 0.64), (1, 0.98), (14, 2)).tolist():
        pen.box((190, 198, 200), x, y, x + 0.1, y + 0.012)
    x, y, size = rng.uniform((0.4, 0.66, 0.28), (0.6, 0.76, 0.4)).tolist()
    if rng.random() < 0.5:
        sailboat(pen.at(x, y, size * 1.6), (60, 45, 40), (240, 234, 218))
    else:
        boat = pen.at(x, y, size)
        for puff in range(8):
            gray = mix((80, 78, 76), (190, 188, 184), puff / 8)
            boat.disc(gray, -0.1 - 0.2 * puff, -1 - 0.07 * puff, 0.1 + 0.03 * puff)
        steamer(boat, (40, 38, 40), (230, 225, 215), (150, 70, 50))


def motor(pen: Pen, rng: Rng) -> None:
    pen.shape((110, 115, 95), *ridge(rng, 0.62, 0.14, jagged=False))
    if rng.random() < 0.5:
        tree(pen.at(pick(rng, (0.15, 0.85)), 0.7, rng.uniform(0.4, 0.65)), rng)
    pen.gradient((150, 145, 138), (110, 105, 100), 0.68, 1)
    body = pick(rng, inks("2c2c30 8c2f2f 3f6f7f e0d8c0 6f7f4f b98a3f"))
    place = pen.at(rng.uniform(0.42, 0.58), rng.uniform(0.76, 0.84), rng.uniform(0.28, 0.33))
    car(place, body, (60, 66, 72), (25, 25, 25))


SCENES = (portrait, portrait, house, grove, lake, sea, motor)
# Dark, middle and light of a print: sepia, warmer sepia, cyanotype, selenium, silver.
SEPIA, WARM, BLUE = "2a1a10 95704a f0dfba", "351c0c ab7b48 f8e4b8", "0b2447 4f86b0 e8f1f2"
SELENIUM, SILVER = "241a24 85746f eee3d5", "1c1c1b 7f7d78 eeebe2"
TONES = (SEPIA, SEPIA, WARM, WARM, BLUE, BLUE, SELENIUM, SILVER, "faded", "faded", "faded")


def photograph(rng: Rng, height: int, width: int) -> np.ndarray:
    pen = Pen.sheet(height, width)
    upper, lower = (mix((40, 40, 50), sky, rng.uniform(0.75, 1)) for sky in inks("94aebb e6e2d4"))
    pen.gradient(upper, lower, 0, 0.62)
    pen.gradient((135, 138, 100), (75, 72, 50), 0.6, 1)
    pick(rng, SCENES)(pen, rng)
    facing = pick(rng, (-1, 1))
    sharp = pen.pixels(height, blur=rng.uniform(0.006, 0.011))[:, ::facing] / 255  # (H, W, 3) in [0, 1]

    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j, :1][:2]
    vignette = 1 - rng.uniform(0.2, 0.45) * ((x**2 + y**2) / 2) ** 1.3
    exposed = np.clip((sharp - 0.5) * rng.uniform(1.05, 1.35) + rng.uniform(0.47, 0.57), 0, 1) * vignette
    tone, leak, side = pick(rng, TONES), pick(rng, (0, 0, 1)), pick(rng, (-1.1, 1.1))
    paper, foot = vary(rng, inks("f3ead6"), 2)[0], pick(rng, (1, 1, 2.6))
    edge = rng.uniform(0.04, 0.08) * min(height, width) * pick(rng, (0, 1, 1, 1))  # pixels
    light = exposed + rng.normal(0, rng.uniform(0.008, 0.024), (height, width, 1))
    if tone == "faded":  # less blue, brown blacks, a light leak at one side
        colored = (51, 36, 33) + light * (195, 183, 135)
        colored += leak * np.clip(1.2 - np.hypot(x - side, y), 0, 1) * (90, 36, 0)
    else:
        colored = toned(light @ (0.3, 0.59, 0.11), np.array(inks(tone)))
    if edge:
        border, bottom = max(1, round(edge)), max(1, round(edge * foot))
        colored[:border] = colored[-bottom:] = colored[:, :border] = colored[:, -border:] = paper
    return np.asarray(colored.clip(0, 255), np.uint8)


# Neon: a striped sun over a glowing grid, on a screen with scan lines.

NEON_INKS = (  # night, dusk, sun above and below, grid, outline
    "0b0221 5a1466 ffe45e ff2e88 ff2bd6 22e6ff",
    "05021a 2b1a6b ffb347 ff3d68 17d4ff ff4fd8",
    "0a0a23 123c69 fff07c ff6f3c 2cf5c8 ff5fa2",
    "12001f 7a0f52 ffd23f ee4266 b14cff 3bf4fb",
    "020b1c 0b4f5c f9f871 ff4e9a 39ff88 ffe14d",
    "140014 4b0082 ff9df5 7a3cff ff5c8a 6ef3ff",
)


def neon(rng: Rng, height: int, width: int) -> np.ndarray:
    night, dusk, above, below, grid, outline = vary(rng, inks(pick(rng, NEON_INKS)), 9)
    night, dark = mix(night, (0, 0, 0), 0.3), mix(night, dusk, 0.2)
    pen = Pen.sheet(height, width, night)
    horizon, x, radius, rise = rng.uniform((0.58, 0.42, 0.2, 0.5), (0.66, 0.58, 0.29, 1.1)).tolist()
    pen.gradient(night, dusk, 0, horizon)
    for star in rng.uniform((0, 0, 0.004), (1, 0.45, 0.009), (int(rng.integers(5, 25)), 3)).tolist():
        pen.disc(mix(dusk, (255, 255, 255), rng.uniform(0.4, 1)), *star)
    sun = pen.at(x, horizon - radius * rise, radius)
    striped_sun(sun, above, below, rng.uniform(3, 4.5))

    far = pick(rng, ("peaks", "peaks", "city", "city", "pyramid", "open"))
    if far == "peaks":
        edge = ridge(rng, horizon, rng.uniform(0.1, 0.24), jagged=True)
        pen.shape(dark, *edge)
        pen.line(outline, 0.016, *edge[:-2])
    elif far == "city":
        skyline(pen, rng, horizon, rng.uniform(0.2, 0.42), dark, pick(rng, (outline, above, grid)))
    elif far == "pyramid":
        pyramid = pen.at(x + rng.uniform(-0.15, 0.15), horizon, rng.uniform(0.22, 0.38))
        pyramid.shape(dark, (-0.9, 0), (0, -0.9), (0.9, 0))
        pyramid.line(outline, 0.05, (-0.9, 0), (0, -0.9), (0.9, 0), (0, -0.9), (0.3, 0))

    pen.gradient(mix(night, dusk, 0.5), night, horizon, 1)
    count, phase, spread = int(rng.integers(6, 10)), rng.random(), rng.uniform(0.22, 0.4)
    for y in (horizon + (1 - horizon) * ((np.arange(count) + phase) / count) ** 1.8).tolist():
        pen.line(grid, 0.007 + 0.012 * (y - horizon), (0, y), (1, y))
    for column in range(-12, 13):
        pen.line(grid, 0.009, (x + column * spread * 0.2, horizon), (x + column * spread, 1))
    pen.line(outline, 0.014, (0, horizon), (1, horizon))

    near = pick(rng, ("palms", "palm", "triangle", "car", "open"))
    if near in ("palms", "palm"):
        for side in (-1, 1) if near == "palms" else (pick(rng, (-1, 1)),):
            place, size, lean = 0.5 + side * rng.uniform(0.36, 0.46), rng.uniform(0.55, 0.78), rng.uniform(-0.12, 0.06)
            for color, scale in ((mix(outline, night, 0.2), 1.04), ((4, 2, 14), 1)):
                palm(pen.at(place, 0.95, size * scale), color, side * lean)
    elif near == "triangle":
        tip = pick(rng, (-1.3, 1.3))
        sun.line(outline, 0.1, (-1.13, -tip / 2), (1.13, -tip / 2), (0, tip), (-1.13, -tip / 2))
    elif near == "car":
        sports_car(pen.at(x, rng.uniform(0.86, 0.93), rng.uniform(0.2, 0.27)), outline, below)
    return screen(rng, pen.pixels(height))


def screen(rng: Rng, image: np.ndarray) -> np.ndarray:
    """Return the image on a cathode-ray tube: bright parts bloom, red and blue are shifted, every other line is dim."""
    height, width = image.shape[:2]
    bloom = Image.fromarray(np.maximum(image, 100) - 100).filter(ImageFilter.GaussianBlur(0.045 * min(height, width)))
    light = 255 - (255 - image) * (1 - np.asarray(bloom) / 255)  # screen blending, never above 255  (H, W, 3)
    unit = max(1, round(min(height, width) / 96))  # pixels
    light[..., 0], light[..., 2] = np.roll(light[..., 0], unit, axis=1), np.roll(light[..., 2], -unit, axis=1)
    light[np.arange(height) // unit % 2 == 1] *= rng.uniform(0.72, 0.86)
    return light.astype(np.uint8)
