"""Dithering keeps the colors of the palette and the light of an image."""

import numpy as np
import pytest

from gan.pixel_art.dithering import (
    DIFFUSION,
    Nearest,
    bayer_matrix,
    blue_noise_matrix,
    dithered,
    error_diffusion,
    has_one_hue,
    stretched,
    to_light,
)
from gan.pixel_art.palettes import palette_of
from gan.utils.colors import COLORS, DITHERS, MONOCHROME
from gan.utils.video_state import Video

RAMP = np.broadcast_to(np.linspace(0, 255, 64)[None, :, None], (48, 64, 3)).astype(np.uint8)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("method", DITHERS)
def test_colors_of_the_palette_stay(method: str) -> None:
    palette = palette_of("nes")
    image = palette[np.random.default_rng(0).integers(0, len(palette), (9, 11))]
    assert np.array_equal(dithered(image, palette, method), image)


@pytest.mark.parametrize(
    ("method", "most"),
    [("floyd_steinberg", 0.01), ("bayer2", 0.1), ("bayer", 0.03), ("bayer8", 0.01), ("blue_noise", 0.02)],
)
def test_the_mean_light_stays(method: str, most: float) -> None:
    palette = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]], np.uint8)
    done = dithered(RAMP, palette, method)
    error = np.abs(to_light(done).mean((0, 1)) - to_light(RAMP).mean((0, 1))).max()
    plain = np.abs(to_light(dithered(RAMP, palette)).mean((0, 1)) - to_light(RAMP).mean((0, 1))).max()
    assert error < most < plain


@pytest.mark.parametrize("method", DIFFUSION)
def test_error_diffusion_pixel_by_pixel(method: str) -> None:
    image, palette = noise(7, 10), palette_of("pico8")
    seen = np.random.default_rng(1).random((7, 10)) > 0.2
    nearest, colors, light = Nearest(palette), to_light(palette), np.zeros((9, 14, 3), np.float32)
    light[:7, 2:-2] = to_light(image)
    expected = np.zeros((7, 10), int)
    for row in range(7):
        for column in range(10):
            wanted = light[row, column + 2].clip(-0.5, 1.5)
            expected[row, column] = best = nearest(wanted.clip(0, 1))
            for (down, right), weight in DIFFUSION[method].items():
                light[row + down, column + 2 + right] += (wanted - colors[best]) * seen[row, column] * weight
    assert (
        np.mean(error_diffusion(image, palette, seen, DIFFUSION[method]) == expected) > 0.98
    )  # sums are in another order


@pytest.mark.parametrize(("method", "side"), [("bayer2", 2), ("bayer", 4), ("bayer8", 8)])
def test_ordered_dithering_depends_on_place_and_color_only(method: str, side: int) -> None:
    image, palette = noise(24, 24), palette_of("c64")
    whole = dithered(image, palette, method)
    assert np.array_equal(dithered(image[side:, 2 * side :], palette, method), whole[side:, 2 * side :])
    changed = image.copy()
    changed[5, 6] = 255 - changed[5, 6]
    differs = (dithered(changed, palette, method) != whole).any(2)
    differs[5, 6] = False
    assert not differs.any()
    assert sorted(bayer_matrix(side).reshape(-1)) == list(range(side * side))
    assert bayer_matrix(4).tolist() == [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]


@pytest.mark.parametrize("name", MONOCHROME)
def test_monochrome_palettes_show_lightness(name: str) -> None:
    palette = palette_of(name)
    done = dithered(RAMP, palette)[0]
    tones = to_light(done).sum(1)
    assert {tuple(color) for color in done} == {tuple(color) for color in palette}
    assert (np.diff(tones) >= 0).all()


def test_atkinson_keeps_light_and_dark_areas_clean() -> None:
    palette = palette_of("black_white")
    assert sum(DIFFUSION["atkinson"].values()) == 0.75
    light = np.full((16, 16, 3), 250, np.uint8)
    assert (dithered(light, palette, "atkinson") == 255).all()


def test_blue_noise_has_no_low_frequencies() -> None:
    matrix = blue_noise_matrix()
    assert np.array_equal(np.bincount(matrix.ravel()), np.full(64, 64))
    power = np.abs(np.fft.fft2(matrix - matrix.mean())) ** 2
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(64), np.fft.fftfreq(64)))
    assert power[(frequency > 0) & (frequency < 0.15)].mean() < 0.1 * power[frequency > 0.3].mean()


def test_a_gray_photograph_gets_all_tones_with_autocontrast() -> None:
    image = np.rint(90 + 0.3 * RAMP).astype(np.uint8)  # neither dark nor light
    palette = palette_of("gameboy")

    def shares(autocontrast: str, image: np.ndarray = image) -> list[float]:
        done = dithered(image, palette, "atkinson", autocontrast=autocontrast)
        return [float((done == color).all(2).mean()) for color in palette]

    assert min(shares("off")) < 0.02 and min(shares("auto")) > 0.02
    flat = np.full_like(image, 128) + np.random.default_rng(0).integers(0, 3, image.shape, dtype=np.uint8)
    assert np.ptp(stretched(flat, np.ones(flat.shape[:2], bool))) < 16  # noise stays noise
    with_white = np.where(RAMP < 128, 255, RAMP).astype(np.uint8)
    seen = RAMP[..., 0] >= 128
    assert stretched(with_white, seen)[seen].min() < 8  # transparent pixels do not count


def test_palettes_of_one_hue() -> None:
    one = {name for name in COLORS if has_one_hue(palette_of(name))}
    assert one == set(MONOCHROME)
    assert has_one_hue(np.array([[30, 10, 0], [120, 60, 20], [240, 200, 150]], np.uint8))  # sepia


def test_the_frames_of_a_video_share_the_stretch() -> None:
    palette, video = palette_of("gameboy"), Video()
    frames = [np.clip(RAMP * scale, 0, 255).astype(np.uint8) for scale in (0.8, 0.84)]
    with video.frame(frames[0]):
        first = dithered(frames[0], palette, autocontrast="on")
    with video.frame(frames[1]):
        second = dithered(frames[1], palette, autocontrast="on")
    assert np.array_equal(first, dithered(frames[0], palette, autocontrast="on"))
    assert not np.array_equal(second, dithered(frames[1], palette, autocontrast="on"))
