"""`gan project`: latents, images and scores of a folder; resuming; invalid input."""

import csv
import os
from pathlib import Path

import pytest
import torch
from PIL import Image

import gan
from gan.editing import vector_files
from gan.images.convert import save_png
from gan.utils.errors import UserError
from gan.utils.files import file_name
from tests.conftest import Train

QUICK = ["--starts", "2", "--steps", "10"]


def scores(path: Path) -> dict[str, list[float]]:
    with path.open(encoding="utf-8") as file:
        return {name: [float(value) for value in values] for name, *values in list(csv.reader(file))[1:]}


@pytest.mark.slow
def test_a_folder_is_projected_and_edited(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run = str(runs / "dcgan")
    model = gan.load(run)
    (tmp_path / "in" / "sub").mkdir(parents=True)
    picture = model.generate([5], label="neon").pixels[0]
    save_png(picture, tmp_path / "in" / "own.png")
    Image.radial_gradient("L").resize((30, 50)).save(tmp_path / "in" / "sub" / "gray ü.jpg")
    (tmp_path / "in" / "broken.png").write_bytes(b"no picture")
    done = gan_command("project", run, "in", "--out", "out", *QUICK, check=3)
    assert "1 of 2 images are resized to the model's 16x16 pixels" in done.stdout
    assert done.stderr.count("\n") == 2 and "broken.png: not a PNG" in done.stderr
    files = sorted(str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file())
    names = ["own.png", "sub/gray ü.jpg"]
    assert files == sorted(["latents.safetensors", "scores.csv", "own.png", "sub/gray ü.jpg.png"])
    found = scores(tmp_path / "out" / "scores.csv")
    assert found.keys() == set(names) and found["own.png"][0] > 30 > found["sub/gray ü.jpg"][0]

    points, labels, _ = vector_files.read_latents(tmp_path / "out" / "latents.safetensors", model.generator)
    assert labels.keys() == set(names)
    gan_command("edit", run, "--latents", "out/latents.safetensors", "--out", "same")
    with Image.open(tmp_path / "same" / "own.png.png") as file:
        drawn = torch.frombuffer(bytearray(file.tobytes()), dtype=torch.uint8).view(16, 16, 3).permute(2, 0, 1)
    assert (drawn.float() - picture.float()).abs().mean() < 8

    before = (tmp_path / "out" / "latents.safetensors").stat().st_mtime_ns
    save_png(picture.flip(2), tmp_path / "in" / "new.png")
    os.unlink(tmp_path / "in" / "broken.png")
    again = gan_command("project", run, "in", "--out", "out", *QUICK)
    assert "2 images are already projected and are skipped" in again.stdout
    assert (tmp_path / "out" / "latents.safetensors").stat().st_mtime_ns > before
    later, _, _ = vector_files.read_latents(tmp_path / "out" / "latents.safetensors", model.generator)
    assert later.keys() == {*names, "new.png"} and all(torch.equal(later[name], points[name]) for name in names)
    assert scores(tmp_path / "out" / "scores.csv").keys() == later.keys()

    save_png(picture.flip(1), tmp_path / "in" / "own.png")
    said = gan_command("project", run, "in", "--out", "out", *QUICK).stdout
    assert "2 images are already" in said and "1 images have changed" in said
    third, _, _ = vector_files.read_latents(tmp_path / "out" / "latents.safetensors", model.generator)
    assert [torch.equal(third[name], later[name]) for name in (*names, "new.png")] == [False, True, True]

    said = gan_command("interpolate", run, "--latents", "out/latents.safetensors", "--frames", "3", "--out", "a.gif")
    assert "7 frames" in said.stdout


@pytest.mark.slow
def test_names_that_are_not_utf8_and_transparent_images(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    Image.new("RGBA", (16, 16), (200, 0, 0, 99)).save(tmp_path / "in" / "clear.png")
    (tmp_path / "in" / "clear.png").rename(os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff.png"))
    said = gan_command("project", str(runs / "dcgan"), "in", "--out", "out", *QUICK).stdout
    assert "1 of 1 images have transparency and get a white background" in said
    assert list(scores(tmp_path / "out" / "scores.csv")) == ["\\xff.png"]
    assert (tmp_path / "out" / file_name("\\xff", ".png")).is_file()


@pytest.mark.slow
def test_w_plus_is_edited_by_layers(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run = str(runs / "stylegan2")
    model = gan.load(run)
    save_png(model.generate([3]).pixels[0], tmp_path / "one.png")
    gan_command("project", run, "one.png", "--out", "out", "--space", "w+", *QUICK)
    points, _, _ = vector_files.read_latents(tmp_path / "out" / "latents.safetensors", model.generator)
    assert points["one.png"].shape == (model.generator.num_ws, 8)
    latents = ["--latents", "out/latents.safetensors"]
    gan_command("edit", run, *latents, "--out", "mixed", "--mix", "7:0-1", "--set", "brightness=0.5", "shift_x=0.5")
    gan_command("edit", run, *latents, "--out", "wide", "--size", "32x24")
    assert torch.equal(
        model.interpolate_latents(torch.stack([points["one.png"]] * 2), frames=1).pixels[1],
        model.synthesize(points["one.png"][None]).pixels[0],
    )
    for folder, size in (("mixed", (16, 16)), ("wide", (24, 32))):
        with Image.open(tmp_path / folder / "one.png.png") as file:
            assert file.size == size
    error = gan_command("edit", run, *latents, "--out", "new", "--mix", "7:0-9", check=2).stderr
    assert "layers 0-9: this generator has layers 0-5" in error and error.count("\n") == 1


@pytest.mark.slow
def test_errors_are_one_line(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run, other = str(runs / "dcgan"), str(runs / "stylegan2")
    Image.new("RGB", (16, 16)).save(tmp_path / "one.png")
    (tmp_path / "text").mkdir()
    (tmp_path / "text" / "a.txt").touch()
    gan_command("project", run, "one.png", "--out", "out", *QUICK)
    latents = ["--latents", "out/latents.safetensors", "--out", "new"]
    for words, said in (
        (["project", run, "text", "--out", "text/new"], "is in the input folder"),
        (["project", run, "one.png", "--out", "out"], "use --force to project again"),
        (["interpolate", run, *latents[:2], "--out", "a.gif", "--space", "z"], "cannot be used with --latents"),
        (["project", other, "one.png", "--out", "out"], "belongs to another model"),
        (["edit", run, *latents, "--mix", "7"], "SEED:LAYERS"),
    ):
        error = gan_command(*words, check=2).stderr
        assert said in error and error.count("\n") == 1, (words, error)
    assert not (tmp_path / "new").exists()
    model = gan.load(run)
    with pytest.raises(UserError, match="there are no images"):
        model.project([])
    with pytest.raises(UserError, match="brightness=nan: give a finite number"):
        model.edit(*model.latents([0]), brightness=float("nan"))
