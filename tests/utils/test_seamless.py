"""Seamless translations: opposite borders of the result fit together as those of the image do."""

import numpy as np
import pytest
from PIL import Image

import gan
from gan.translation.translator import Translator
from gan.utils import seamless
from gan.utils.errors import UserError
from tests.translation.test_tiling import NETWORKS, random


def texture(height: int, width: int) -> np.ndarray:
    """Return a smooth image uint8 (H, W, 3) whose opposite borders fit together."""
    rng = np.random.default_rng(0)
    spectrum = np.fft.fft2(rng.normal(size=(height, width, 3)), axes=(0, 1))
    down, across = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)
    field = np.fft.ifft2(spectrum * np.exp(-2000 * (down**2 + across**2))[..., None], axes=(0, 1)).real
    return (128 + 50 * field / field.std()).clip(0, 255).astype(np.uint8)


def seam(image: Image.Image, axis: int) -> float:
    """Return the mean difference across the borders of an axis, divided by that of neighbors inside."""
    pixels = np.asarray(image).astype(float)
    steps = np.abs(pixels - np.roll(pixels, 1, axis)).mean((1 - axis, 2))
    return float(steps[0] / steps[1:].mean())


def tiled(pixels: np.ndarray) -> np.ndarray:
    return np.tile(pixels, (3, 3, 1))


@pytest.mark.parametrize("look", ["cyanotype", "watercolor", "vhs"])
def test_looks_keep_the_borders_together(look: str) -> None:
    pixels = texture(96, 128)
    plain, wrapped = (gan.translate(f"look:{look}", pixels, seamless=axes) for axes in (None, "both"))
    assert isinstance(plain, Image.Image) and isinstance(wrapped, Image.Image)
    assert wrapped.size == plain.size == (128, 96)
    assert max(seam(plain, 0), seam(plain, 1)) > 1.5 and max(seam(wrapped, 0), seam(wrapped, 1)) < 1.25


def test_lengths_are_those_of_the_image() -> None:
    """Dots of a screen have the same distance with and without the option."""
    gray = np.full((128, 128, 3), 120, np.uint8)

    def period(image: object) -> int:
        power = np.abs(np.fft.rfft(np.asarray(image).astype(float)[..., 2].mean(0)))[1:]
        return int(power.argmax()) + 1

    look = "look:halftone:color=0:angle=45"
    assert period(gan.translate(look, gray)) == period(gan.translate(look, gray, seamless="both"))


@pytest.mark.parametrize(("name", "size"), [("resnet, antialiased", (176, 200)), ("enlarge", (32, 40))])
def test_networks_translate_a_texture_as_the_middle_of_its_repetition(name: str, size: tuple[int, int]) -> None:
    config = {"data": {"channels": 3, "size": 32}}
    translator, pixels = Translator(random(NETWORKS[name]()), 0, config), texture(*size)
    got, repeated = np.asarray(translator(pixels, seamless="both")), np.asarray(translator(tiled(pixels)))
    height, width = got.shape[:2]
    middle = repeated[height : 2 * height, width : 2 * width]
    assert np.abs(got.astype(int) - middle).max() <= 1
    assert np.abs(np.asarray(translator(pixels)).astype(int) - middle).max() > 5


def test_noise_of_networks_is_cut_where_it_is_alike() -> None:
    translator = Translator(random(NETWORKS["resnet, noise"]()), 0, {"data": {"channels": 3, "size": 32}})
    image = translator(texture(96, 128), seamless="x")
    assert isinstance(image, Image.Image) and seam(image, 1) < 1.15


def test_the_path_is_closed_and_takes_the_least_cost() -> None:
    costs = np.ones((7, 40))
    way = np.rint(3 + 2 * np.sin(np.arange(40) / 39 * 2 * np.pi)).astype(int)
    costs[way, np.arange(40)] = 0
    assert np.array_equal(seamless.closed_path(costs), way)
    costs[way[-1], -1], costs[0, -1] = 1, 0  # ends elsewhere
    path = seamless.closed_path(costs)
    assert path[0] == path[-1] and np.abs(np.diff(path)).max() <= 1


@pytest.mark.parametrize("size", [(1, 1), (5, 40), (64, 48)])
@pytest.mark.parametrize("axes", ["x", "y", "both"])
def test_without_a_change_the_image_stays(axes: str, size: tuple[int, int]) -> None:
    pixels = texture(*size)
    assert np.array_equal(seamless.translated(lambda x: x, pixels, axes), pixels)


def test_alpha_and_strength_are_kept() -> None:
    given = Image.fromarray(texture(40, 48)).convert("RGBA")
    given.putalpha(100)
    image = gan.translate("look:film", given, seamless="both", strength=0)
    assert isinstance(image, Image.Image) and np.array_equal(image, given)


def test_unknown_axes_are_one_line() -> None:
    with pytest.raises(UserError, match="seamless=z: unknown; use x, y, both"):
        gan.translate("look:film", texture(8, 8), seamless="z")
