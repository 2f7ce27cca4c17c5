"""Enlarge files and generated images with a run of model=enlarge."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gan
from gan.data.builtin.retro import CLASSES, draw
from gan.records.record import command_of, origin
from tests.conftest import Train
from tests.security.checkpoints import DCGAN, write_run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with an image, a run that enlarges and a run that generates."""
    folder = tmp_path_factory.mktemp("enlarge")
    (folder / "images").mkdir()
    Image.fromarray(draw(0, 2, 64, 48)).save(folder / "images" / "a.png")
    data = ["data=reduced", f"data.root={folder / 'images'}", "data.size=16", "data.factor=2", "data.split=null"]
    small = ["model.generator.width=8", "model.discriminator.width=8", "model.generator.factor=2"]
    write_run(folder / "enlarger", ["model=enlarge", *data, *small])
    write_run(folder / "run", DCGAN, CLASSES)
    return folder


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


@pytest.mark.slow
def test_files_and_generated_images_are_enlarged(folder: Path, gan_command: Train, tmp_path: Path) -> None:
    enlarger, run = str(folder / "enlarger"), str(folder / "run")
    gan_command("translate", enlarger, str(folder / "images"), "large")
    large = pixels(tmp_path / "large" / "a.png")
    lanczos = Image.fromarray(pixels(folder / "images" / "a.png")).resize((96, 128), Image.Resampling.LANCZOS)
    assert large.shape == (128, 96, 3)
    assert np.abs(large.astype(int) - np.asarray(lanczos, int)).mean() < 20
    assert np.array_equal(np.asarray(gan.translate(enlarger, folder / "images" / "a.png")), large)
    gan_command("generate", run, "--seeds", "3", "--enlarge", enlarger, "--grid", "--out", "generated")
    found = tmp_path / "generated" / "3.png"
    assert pixels(found).shape == (32, 32, 3)
    record = origin(found)
    assert record and command_of(record) == "gan generate RUN --seeds 3 --enlarge ENLARGER --class photograph"
    said = gan_command("generate", run, "--seeds", "3", "--enlarge", run, "--out", "x", check=2).stderr
    assert "does not enlarge images; give a run of model=enlarge" in said
