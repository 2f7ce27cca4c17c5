"""`gan translate --steady` on animations and videos, and the record of it; `gan translate FILE.cube`."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

import gan
from gan.data.builtin.retro import draw
from gan.looks import color_table
from gan.looks.color_table import table_of
from tests.conftest import Train


def animate(path: Path, count: int = 3) -> None:
    """Write frames of a still photograph, of which one pixel changes."""
    frames = [draw(0, 2, 32, 48).copy() for _ in range(count)]
    for n, frame in enumerate(frames):
        frame[0, 0] = 40 * n
    first, *rest = map(Image.fromarray, frames)
    first.save(path, save_all=True, append_images=rest, duration=40, lossless=True)


def frames_of(path: Path) -> list[np.ndarray]:
    with Image.open(path) as file:
        return [np.asarray(frame.convert("RGB")).astype(int) for frame in ImageSequence.Iterator(file)]


@pytest.mark.slow
def test_animations(gan_command: Train, tmp_path: Path) -> None:
    animate(tmp_path / "in.png")
    for out, options in (("plain.png", ()), ("steady.png", ("--steady",))):
        gan_command("translate", "look:grain", "in.png", out, *options)
    plain, steady = frames_of(tmp_path / "plain.png"), frames_of(tmp_path / "steady.png")
    assert len(plain) == len(steady) == 3 and np.array_equal(plain[0], steady[0])
    assert np.abs(plain[0] - plain[1])[1:].mean() > 5 and np.abs(steady[0] - steady[2])[1:].max() == 0
    record = gan.origin(tmp_path / "steady.png")
    assert record is not None and record["steady"] is True
    assert "INPUT OUTPUT" in (said := gan_command("info", "steady.png").stdout) and "--steady" in said


def test_a_color_table_keeps_alpha_and_is_recorded_by_its_contents(gan_command: Train, tmp_path: Path) -> None:
    (tmp_path / "looks").mkdir()
    table = table_of(lambda image: image[..., ::-1] ** 2, 33)
    (tmp_path / "looks" / "my look, no. 1.cube").write_bytes(color_table.encode_cube(table))
    pixels = np.concatenate([draw(0, 2, 32, 48), np.arange(32 * 48).reshape(32, 48, 1) % 256], 2).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "in.png")
    gan_command("translate", "looks/my look, no. 1.cube", "in.png", "out.png", "--strength", "0.5")
    with Image.open(tmp_path / "out.png") as image:
        after = np.asarray(image)
    half = (pixels[..., :3].astype(int) + np.rint(255 * table.apply(pixels[..., :3]))) / 2
    seen = pixels[..., 3] > 0
    assert np.array_equal(after[..., 3], pixels[..., 3]) and np.abs(after[..., :3] - half)[seen].max() <= 1
    record = gan.origin(tmp_path / "out.png")
    assert record is not None and record["look"][0].startswith("table:") and "looks" not in str(record)
