"""The built-in images: deterministic at any size, four separable classes, hardly any duplicates."""

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from gan.data.builtin.retro import CLASSES, BuiltinImages, draw
from gan.data.decoding.decode import Decoder
from gan.utils.errors import UserError

ROOT = Path(__file__).parents[3]


def digest(seed: int, index: int, height: int, width: int) -> str:
    return hashlib.sha256(draw(seed, index, height, width).tobytes()).hexdigest()


def test_another_process_and_order_draw_the_same_bytes_without_torch() -> None:
    code = (
        "import hashlib, sys; from gan.data.builtin.retro import draw\n"
        "for i in reversed(range(12)): print(hashlib.sha256(draw(5, i, 48, 40).tobytes()).hexdigest())\n"
        "print('torch' in sys.modules)"
    )
    other = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert other.stdout.split() == [*(digest(5, i, 48, 40) for i in reversed(range(12))), "False"]


@pytest.mark.parametrize("size", [(16, 16), (17, 31), (96, 64), (256, 16), (255, 256)])
def test_shape_and_type_at_any_size(size: tuple[int, int]) -> None:
    for index in range(8):
        image = draw(0, index, *size)
        assert image.shape == (*size, 3) and image.dtype == np.uint8
        assert image.std() > 10  # something is on it


def test_sizes_and_classes_out_of_range() -> None:
    for size in ((15, 64), (64, 257)):
        with pytest.raises(UserError, match=f"{size[0]}x{size[1]}"):
            draw(0, 0, *size)
    for classes in (["car"], [], ["neon", "neon"]):
        with pytest.raises(UserError, match="a list of poster, sprite, photograph, neon, each once"):
            BuiltinImages(5, classes)


@pytest.mark.parametrize("kind", ["poster", "sprite"])
def test_a_scene_is_the_same_at_another_size(kind: str) -> None:
    def distance(large: int, small: int) -> float:
        shrunk = draw(1, large, 128, 128).reshape(32, 4, 32, 4, 3).mean((1, 3))
        return float(np.abs(shrunk - draw(1, small, 32, 32)).mean())

    for index in range(CLASSES.index(kind), 32, len(CLASSES)):
        assert 3 * distance(index, index) < distance(index, index + len(CLASSES))


def test_a_sprite_has_few_colors_on_a_whole_grid() -> None:
    for index in range(CLASSES.index("sprite"), 200, len(CLASSES)):
        cells = draw(2, index, 64, 64)[::4, ::4]  # (16, 16, 3)
        np.testing.assert_array_equal(cells.repeat(4, axis=0).repeat(4, axis=1), draw(2, index, 64, 64))
        assert 2 <= len(np.unique(cells.reshape(-1, 3), axis=0)) <= 16


def test_a_subset_of_classes_gives_the_same_images() -> None:
    source, decoder = BuiltinImages(5, ["neon", "sprite"]), Decoder((32, 32), 3)
    assert source.keys == ["3", "1", "7", "5", "11"]
    assert source.classes(True) == (["neon", "sprite"], [0, 1, 0, 1, 0])
    (picture,) = source.decode(source.content(2), decoder)
    assert np.array_equal(picture.transpose(1, 2, 0), draw(0, 7, 32, 32))
