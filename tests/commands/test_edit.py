"""`gan directions` and `gan edit`: directions are saved with sheets, and change images by the requested amount."""

import shlex
from pathlib import Path

import pytest
from PIL import Image

import gan
from gan.editing import vector_files
from gan.editing.space import Space
from tests.conftest import Train


@pytest.mark.parametrize("name", ["dcgan", "stylegan2"])
def test_directions_are_found_saved_and_set(name: str, runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run = str(runs / name)
    said = gan_command("directions", run, "--sefa", "2", "--pca", "3", "--seeds", "0-2", "--class", "neon").stdout
    effects = vector_files.read_effects(runs / name / "directions" / "directions.safetensors")
    assert all(f"{direction:<9}  {effect}\n" in said for direction, effect in effects.items())
    assert ("changes most" in said) == bool(effects)
    made = sorted(path.name for path in (runs / name / "directions").iterdir())
    assert made == ["directions.safetensors", "pca0.png", "pca1.png", "pca2.png", "sefa0.png", "sefa1.png"]
    with Image.open(runs / name / "directions" / "pca0.png") as sheet:
        assert sheet.size == (2 + 7 * 66, 2 + 3 * 66)
    options = ["--seeds", "0-2", "--class", "neon", "--set"]
    gan_command("edit", run, "--out", "same", *options, "sefa0=0", "pca1=0")
    gan_command("edit", run, "--out", "moved", *options, "sefa0=0", "pca1=-2")
    gan_command("generate", run, "--seeds", "0-2", "--class", "neon", "--out", "plain")
    model = gan.load(run)
    vectors = vector_files.read_directions(runs / name / "directions" / "directions.safetensors", model.generator)
    space = Space(model.generator)
    z, labels = model.sample_z([0, 1, 2], "neon")
    expected = space.render_uint8(space.from_z(z, labels) - 2 * vectors["pca1"], labels)
    for seed in range(3):
        same, moved, plain = (tmp_path / folder / f"{seed}.png" for folder in ("same", "moved", "plain"))
        assert same.read_bytes() == plain.read_bytes() != moved.read_bytes()
        with Image.open(moved) as picture:
            assert picture.tobytes() == expected[seed].permute(1, 2, 0).numpy().tobytes()


def test_a_grid_shows_all_edited_images(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run = str(runs / "dcgan")
    gan_command("edit", run, "--out", "bright", "--seeds", "4-7", "--set", "brightness=1", "--grid")
    gan_command("edit", run, "--out", "plain", "--seeds", "4-7", "--set", "brightness=0", "--grid")
    gan_command("generate", run, "--out", "generated", "--seeds", "4-7", "--grid")
    bright, plain, generated = (
        (tmp_path / name / "grid.png").read_bytes() for name in ("bright", "plain", "generated")
    )
    assert plain == generated != bright
    assert (
        "grid.png: exists already"
        in gan_command("edit", run, "--out", "bright", "--seeds", "9", "--grid", check=2).stderr
    )


def test_a_note_says_that_no_option_changes_the_images(runs: Path, gan_command: Train) -> None:
    run = str(runs / "dcgan")
    assert "nothing was changed" in gan_command("edit", run, "--out", "plain", "--seeds", "0").stderr
    assert "nothing was" not in gan_command("edit", run, "--out", "wrapped", "--seeds", "0", "--seamless", "x").stderr


@pytest.mark.slow
def test_the_printed_command_edits_with_the_directions(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    said = gan_command("directions", str(runs / "dcgan"), "--sefa", "1", "--pca", "0", "--out", "found 1").stdout
    program, *printed = shlex.split(said.splitlines()[-1].removeprefix("try "))
    assert program == "gan"
    gan_command(*printed)
    assert len(list((runs / "dcgan" / "edited").glob("**/grid.png"))) == 1


@pytest.mark.slow
def test_fixed_attributes_stay_constant_with_directions_and_shifts(runs: Path) -> None:
    model = gan.load(runs / "dcgan")
    model.vectors |= model.directions(sefa=1, pca=0)
    points, labels = model.latents(list(range(8)))
    space, brightness = Space(model.generator), model.attributes["brightness"]
    before = brightness(space.render(points, labels))

    def away(**settings: float) -> float:
        return float((brightness(space.render(model.edit(points, labels, **settings), labels)) - before).abs().mean())

    for settings in ({"sefa0": 2.0}, {"zoom": 1.0}):
        assert away(**settings, brightness=0.0) < 0.5 * away(**settings)
    assert model.edit(points, labels, sefa0=0, zoom=0, brightness=0) is points


def test_a_mix_has_the_requested_class(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run, model = str(runs / "stylegan2"), gan.load(runs / "stylegan2")
    gan_command("edit", run, "--seeds", "0", "--class", "neon", "--mix", "3:0-5", "--out", "all")
    with Image.open(tmp_path / "all" / "0.png") as file:
        assert file.tobytes() == model.generate([3], label="neon").pixels[0].permute(1, 2, 0).numpy().tobytes()


def test_errors_are_one_line(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run = str(runs / "dcgan")
    gan_command("directions", run, "--sefa", "1", "--pca", "0", "--out", "found")
    (tmp_path / "latents").touch()
    found = ["--directions", "found/directions.safetensors"]
    for words, said in (
        (["directions", run, "--out", "found"], "--force"),
        (["directions", run, "--out", "new", "--sefa", "0", "--pca", "0"], "give at least one direction"),
        (["edit", run, *found, "--out", "new", "--set", "hue=1"], "shift_x, shift_y, sefa0"),
        (["edit", run, "--latents", "latents", "--class", "neon", "--out", "new"], "--class"),
        (["edit", run, "--device", "cuda", "--out", "new"], "torch cannot use it here"),
    ):
        error = gan_command(*words, check=2).stderr
        assert said in error and error.count("\n") == 1
    assert not (tmp_path / "new").exists()
