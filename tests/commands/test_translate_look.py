"""`gan translate look:NAME`: the files, options and metadata of gan translate, without a network."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import gan
from gan.looks.registry import STYLES
from gan.records.record import command_of
from gan.translation.image_translator import COLUMNS, GAP, LABEL, SHEET_SIDE
from gan.utils.errors import UserError
from tests.commands.test_translate import noise
from tests.conftest import Train, run_python


@pytest.mark.slow
def test_parameters_seed_strength_and_pixel_art(gan_command: Train, tmp_path: Path) -> None:
    noise(60, 40).save(tmp_path / "a.png")

    def look(name: str, *options: str) -> np.ndarray:
        gan_command("translate", f"look:{name}", "a.png", "b.png", "--force", *options)
        return np.asarray(Image.open(tmp_path / "b.png")).astype(int)

    plain = np.asarray(Image.open(tmp_path / "a.png")).astype(int)
    film = look("film")
    assert np.array_equal(look("sepia,fade", "--set", "sepia=0", "fade=0"), plain)
    assert np.array_equal(look("film", "--set", "vignette=0")[20, 30], film[20, 30])
    assert look("film", "--set", "vignette=0")[0, 0].sum() > film[0, 0].sum() + 50
    assert np.abs(look("film", "--strength", "0.5") - (plain + film) / 2).max() <= 1
    first, second = look("grain"), look("grain", "--seed", "1")
    assert np.array_equal(first, look("grain", "--seed", "0")) and not np.array_equal(first, second)
    cells = look("film", "--cell", "10")
    assert len(np.unique(cells.reshape(-1, 3), axis=0)) <= 24
    record = gan.origin(tmp_path / "b.png")
    assert record and record["look"] == ["sepia", "fade", "vignette"] and record["cell"] == 10 and "model" not in record


def test_frames_of_an_animation_have_other_grain_and_the_same_screen(gan_command: Train, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (32, 32), (level, level, level)) for level in (120, 121, 122)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], duration=40, lossless=True)
    for name, same in (("grain", False), ("halftone", True)):
        gan_command("translate", f"look:{name}", "a.webp", f"{name}.webp")
        with Image.open(tmp_path / f"{name}.webp") as moves:
            shown = []
            for frame in range(2):
                moves.seek(frame)
                shown.append(np.asarray(moves.convert("L")).astype(float))
        correlation = np.corrcoef(shown[0].ravel(), shown[1].ravel())[0, 1]
        assert correlation > 0.95 if same else abs(correlation) < 0.3


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["look:flim", "a.png", "b.png"], "look:flim is not known; did you mean film?"),
        (["look:film", "a.png"], "look:film: give OUTPUT, a folder or a file"),
        (["look:film", "a.png", "b.png", "--tile", "128"], "--tile: needs a trained translator; look:film is a look"),
        (["look:film", "a.png", "b.png", "--set", "grain=1"], "--set grain: there is no such parameter"),
        (["look:all", "a.png", "b.png", "--seamless", "x"], "--seamless: needs one look; look:all makes a sheet"),
        (["look:film", "a.png", "b.png", "--palette", "8"], "--palette 8: a look has no target images"),
    ],
)
def test_errors_are_one_line(words: list[str], said: str, gan_command: Train, tmp_path: Path) -> None:
    noise(8, 8).save(tmp_path / "a.png")
    error = gan_command("translate", *words, check=2).stderr
    assert error.startswith(f"error: {said}") and error.count("\n") == 1 and not (tmp_path / "b.png").exists()


def test_no_output_takes_the_place_of_what_is_read(gan_command: Train, tmp_path: Path) -> None:
    gan_command("export", "look:film", "--to", "cube", "--out", "tables")
    before = (tmp_path / "tables" / "film.cube").read_bytes()
    words = ("export", "tables/film.cube", "--to", "cube", "--out", "tables", "--force")
    assert "tables/film.cube: is " in gan_command(*words, check=2).stderr
    assert (tmp_path / "tables" / "film.cube").read_bytes() == before


def test_an_animation_does_not_become_one_frame(gan_command: Train, tmp_path: Path) -> None:
    frames = [Image.new("RGB", (8, 8), (level, 0, 0)) for level in (0, 100, 200)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:], lossless=True)
    error = gan_command("translate", "look:film", "a.webp", "b.jpg", check=3).stderr
    assert "a.webp: has 3 frames, but JPEG holds one; use .png, .webp or .gif" in error
    assert not (tmp_path / "b.jpg").exists()


def test_a_palette_needs_no_translator(gan_command: Train, tmp_path: Path) -> None:
    Image.radial_gradient("L").convert("RGB").save(tmp_path / "a.png")
    gan_command("translate", "--palette", "gameboy", "--dither", "bayer", "a.png", "b.png")
    with Image.open(tmp_path / "b.png") as image:
        assert len(image.convert("RGB").getcolors() or ()) == 4
    record = gan.origin(tmp_path / "b.png")
    assert record
    assert command_of(record) == ("gan translate INPUT OUTPUT --palette PALETTE --autocontrast auto --dither bayer")


def test_a_sheet_shows_all_looks(gan_command: Train, tmp_path: Path) -> None:
    Image.radial_gradient("L").convert("RGBA").save(tmp_path / "a.png")
    gan_command("translate", "look:all", "a.png", "sheet.png", "--strength", "2")
    with Image.open(tmp_path / "sheet.png") as image:
        rows = -(-(len(STYLES) + 1) // COLUMNS)
        assert image.size == (COLUMNS * (SHEET_SIDE + GAP) + GAP, rows * (SHEET_SIDE + LABEL) + GAP)
    record = gan.origin(tmp_path / "sheet.png")
    assert record and record["look"] == ["all"]


def test_strength_above_one_exaggerates(gan_command: Train, tmp_path: Path) -> None:
    given = np.full((9, 12, 3), (90, 120, 150), np.uint8)
    Image.fromarray(given).save(tmp_path / "a.png")
    results = []
    for strength in ("1", "1.5"):
        gan_command("translate", "look:sepia", "a.png", "b.png", "--strength", strength, "--force")
        with Image.open(tmp_path / "b.png") as image:
            results.append(np.asarray(image.convert("RGB"), int))
    assert np.abs(results[1] - (1.5 * results[0] - 0.5 * given.astype(int))).max() <= 1


def test_sixteen_bits_become_eight_with_a_note(gan_command: Train, tmp_path: Path) -> None:
    Image.fromarray(np.full((9, 12), 40_000, np.uint16)).save(tmp_path / "deep.png")
    said = gan_command("translate", "look:sepia", "deep.png", "out.png").stdout
    assert "note: 1 file with 16 bits a channel; the results have 8" in said


def test_a_folder_in_another_format(gan_command: Train, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a.jpg", "b.png"):
        noise(16, 8).save(tmp_path / "in" / name)
    words = ("translate", "look:pixels", "in", "out", "--cell", "4", "--palette", "pico8", "--format", "png")
    assert "note" not in gan_command(*words).stdout
    for name in ("a.png", "b.png"):
        with Image.open(tmp_path / "out" / name) as image:
            assert image.format == "PNG" and len(image.convert("RGB").getcolors() or ()) <= 16
    assert "2 existing files skipped" in gan_command(*words).stdout
    gan_command("translate", "look:film", "in/b.png", "film", "--format", "webp")
    with Image.open(tmp_path / "film" / "b.webp") as image:
        assert image.format == "WEBP"


@pytest.mark.slow
def test_a_look_needs_no_torch(tmp_path: Path) -> None:
    noise(8, 8).save(tmp_path / "a.png")
    code = "import sys; from gan.cli import main; code = main(sys.argv[1:]); sys.exit(code or 'torch' in sys.modules)"
    run_python(["-c", code, "translate", "look:film", "a.png", "b.png"], tmp_path, check=True)
    assert (tmp_path / "b.png").is_file()
    assert "woodcut: " in run_python(["-c", code, "translate", "--list-looks"], tmp_path, check=True).stdout


def test_in_python() -> None:
    image = noise(40, 30)
    film = gan.translate("look:film", image)
    assert isinstance(film, Image.Image) and film.size == (40, 30)
    several = gan.translate("look:film", [image, image], strength=0, vignette=0.2)
    assert isinstance(several, list) and all(np.array_equal(each, image) for each in several)
    assert not np.array_equal(gan.translate("look:grain", image, seed=1), gan.translate("look:grain", image))
    with pytest.raises(UserError, match="no such parameter"):
        gan.translate("look:film", image, grain=1)
    with pytest.raises(UserError, match=r"look:film: a look has no model; use gan\.translate\('look:film', IMAGES\)"):
        gan.load("look:film")
