"""`gan translate --fit PHOTOGRAPHS RETRO INPUT OUTPUT`: a color map without training."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gan
from gan.cli import main
from gan.data.builtin.retro import draw
from gan.looks.registry import make_style
from gan.networks.closed_form.color_map import NUM_BASES, POWERS, ColorMap
from gan.translation.fitted_maps import ClosedFormFunction
from tests.conftest import Train

COUNT, SIDE = 24, 48


def pictures(folder: Path, first: int, look: str | None = None) -> list[np.ndarray]:
    folder.mkdir()
    made = []
    for index in range(first, first + COUNT):
        pixels = np.ascontiguousarray(draw(0, index, SIDE, SIDE))
        pixels = pixels if look is None else make_style(look)(pixels, index)
        Image.fromarray(pixels).save(folder / f"{index}.png")
        made.append(pixels)
    return made


@pytest.mark.slow
def test_a_map_of_two_folders(gan_command: Train, tmp_path: Path) -> None:
    inputs = pictures(tmp_path / "photos", 0)
    pictures(tmp_path / "retro", 100, "film")
    given = ("translate", "--fit", "photos", "retro", "photos", "out")
    said = gan_command(*given).stdout
    assert "color map fitted: transport" in said
    left, before = 0.0, 0.0
    for index, pixels in enumerate(inputs):
        truth = make_style("film")(pixels, index).astype(int)
        mapped = np.asarray(Image.open(tmp_path / "out" / f"{index}.png")).astype(int)
        left, before = left + np.abs(mapped - truth).mean(), before + np.abs(pixels.astype(int) - truth).mean()
    assert left < 0.5 * before
    linear = ("--map", "linear", "--position", "none")
    assert f"{COUNT} existing files skipped" in gan_command(*given, *linear).stdout
    record = gan.origin(tmp_path / "out" / "0.png")
    assert record and set(record) >= {"closed_form", "original", "pixels"} and "model" not in record
    assert "gan translate --fit PHOTOGRAPHS RETRO INPUT" in gan_command("info", "out/0.png").stdout

    Image.fromarray(np.dstack([inputs[0], np.full((SIDE, SIDE), 90, np.uint8)])).save(tmp_path / "clear.png")
    said = gan_command(*given[:4], "clear.png", "b.png", *linear, "--palette", "4")
    assert "color map fitted: linear\n" in said.stdout
    result = Image.open(tmp_path / "b.png")
    assert result.mode == "RGBA" and result.getchannel("A").getextrema() == (90, 90)
    assert len(np.unique(np.asarray(result.convert("RGB")).reshape(-1, 3), axis=0)) <= 4


@pytest.mark.slow
def test_one_image_in_place_of_a_folder(gan_command: Train, tmp_path: Path) -> None:
    inputs = pictures(tmp_path / "photos", 0)
    Image.fromarray(make_style("sepia")(draw(0, 100, SIDE, SIDE), 0)).save(tmp_path / "one.png")
    given = ("translate", "--fit", "photos", "one.png", "photos/0.png")
    assert "color map fitted: linear (fewer than 8 images" in gan_command(*given, "a.png").stdout
    gan_command(*given, "b.png", "--map", "linear")
    reduced, whole = (np.asarray(Image.open(tmp_path / name)).astype(int) - inputs[0] for name in ("a.png", "b.png"))
    assert 0 <= np.abs(reduced).mean() < np.abs(whole).mean()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--fit", "a", "a", "a", "b", "c"], "give INPUT and OUTPUT, and no TRANSLATOR"),
        (["--fit", "a", "missing", "a", "b"], "no folder 'missing'"),
        (["--fit", "a", "clear.png", "a", "b"], "--fit clear.png: has no image with visible pixels"),
        (["--fit", "a", "damaged.png", "a", "b"], "error: damaged.png: "),
        (["--fit", "a", "a", "a", "b", "--set", "x=1"], "--set: needs a look"),
        (["look:film", "a", "b", "--map", "linear"], "--map: needs --fit"),
        (["a"], "give TRANSLATOR and INPUT"),
    ],
)
def test_errors_are_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").mkdir()
    Image.new("RGB", (60, 60), "red").save(tmp_path / "a" / "1.png")
    Image.new("RGBA", (60, 60)).save(tmp_path / "clear.png")
    (tmp_path / "damaged.png").write_bytes((tmp_path / "clear.png").read_bytes()[:40])
    assert main(["translate", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert not (tmp_path / "b").exists()


def test_bands_equal_the_whole_image(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8)
    change = ColorMap()
    change.position += 0.05
    change.read_buffers()
    assert change.position.shape == (3, POWERS, NUM_BASES)
    whole = ClosedFormFunction(change)(pixels, 0)
    monkeypatch.setattr("gan.translation.fitted_maps.BAND", 200)
    assert np.array_equal(ClosedFormFunction(change)(pixels, 0), whole)
