"""Images say where they come from, and `gan reproduce` makes the same bytes again."""

from __future__ import annotations

import getpass
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import gan
from gan.images.embedded_text import KEY
from gan.latent.store import fingerprint
from gan.sharing.provenance import model_hash
from gan.sharing.translations import software
from tests.commands.test_translate import noise, trained
from tests.conftest import Train


def is_free_of_names(path: Path, *names: str) -> bool:
    """Return whether a file has neither these names nor the folder of the test nor the user's name."""
    data = path.read_bytes()
    user = getpass.getuser()
    found = [*names, str(path.parent), "/tmp", *([user] if len(user) > 4 else [])]  # a short name occurs by chance
    return not any(name.encode() in data for name in found)


def with_record(source: Path, target: Path, **changes: Any) -> Path:
    """Write a copy of a PNG whose record has other values."""
    record = (gan.origin(source) or {}) | changes
    chunk = PngInfo()
    chunk.add_text(KEY, json.dumps({name: value for name, value in record.items() if value is not None}))
    with Image.open(source) as image:
        image.save(target, pnginfo=chunk)
    return target


def test_an_image_says_what_made_it(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run, model = str(runs / "dcgan"), gan.load(runs / "dcgan")
    gan_command("generate", run, "--seeds", "0-3,9", "--out", "images", "--grid")
    record = gan.origin(tmp_path / "images" / "9.png")
    assert record is not None
    label = model.classes[int(model.sample_z([9])[1])]  # type: ignore[arg-type]
    expected = {"format": 1, "software": software(), "kind": "image", "images": 16, "seed": 9, "class": label}
    assert {name: record[name] for name in expected} == expected and record.keys() - expected == {"model", "pixels"}
    assert record["model"] == model_hash(model.generator) == fingerprint(model.generator)
    grid = gan.origin(tmp_path / "images" / "grid.png")
    assert grid is not None and grid["seeds"] == [[0, 3], 9] and grid["kind"] == "grid"
    gan_command("generate", run, "--seeds", "0-3,9", "--out", "plain", "--grid", "--no-metadata")
    for path in (tmp_path / "images").iterdir():
        plain = tmp_path / "plain" / path.name
        assert gan.origin(plain) is None and is_free_of_names(path, "dcgan", "images-0")
        with Image.open(path) as image, Image.open(plain) as other:
            assert image.tobytes() == other.tobytes() and not other.info
    gan_command("generate", run, "--seeds", "9", "--out", "again")
    assert (tmp_path / "again" / "9.png").read_bytes() == (tmp_path / "images" / "9.png").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dcgan", "stylegan2"])
def test_images_of_a_generator_are_reproduced(name: str, runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run = str(runs / name)
    shutil.copytree(runs / name, tmp_path / "runs" / "own", ignore=shutil.ignore_patterns("directions"))
    mapped = ["--truncation", "0.6"] if name == "stylegan2" else []
    mix = "3:0-2" if name == "stylegan2" else "3:0.3"
    gan_command("generate", run, "--seeds", "4,7", "--class", "neon", "--grid", "--out", "generated", *mapped)
    changes = ["--set", "brightness=1", "contrast=0", "zoom=0.3", "sefa0=1", "--mix", mix]
    gan_command("directions", run, "--sefa", "1", "--pca", "0", "--out", "runs/own/directions")
    found = ["--directions", "runs/own/directions/directions.safetensors"]
    gan_command("edit", run, "--seeds", "1-34", "--grid", "--out", "edited", *changes, *found)
    gan_command("edit", run, "--seeds", "1", "--size", "32", "--out", "large")
    for suffix in ("gif", "webp", "png"):
        words = ["--seeds", "5,2,5", "--frames", "3", "--fps", "8", "--scale", "2", "--out", f"way.{suffix}"]
        gan_command("interpolate", run, *words, "--loop", *mapped)
    files = ["generated/4.png", "generated/grid.png", "edited/1.png", "edited/34.png", "edited/grid.png"]
    files += ["large/1.png", "way.gif", "way.webp", "way.png"]
    for file in files:  # the model is found in ./runs
        assert "reproduced, all bytes are equal" in gan_command("reproduce", file).stdout, file
        assert is_free_of_names(tmp_path / file, name, "own"), file
    gan_command("reproduce", "way.gif", "--out", "copy.gif")
    assert (tmp_path / "copy.gif").read_bytes() == (tmp_path / "way.gif").read_bytes()
    shutil.rmtree(tmp_path / "runs" / "own" / "directions")
    lost = gan_command("reproduce", "edited/1.png", check=2).stderr
    assert "edited with a file of directions that was not found; give" in lost and lost.count("\n") == 1


@pytest.mark.slow
def test_projections_and_their_edits_are_reproduced(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run = str(runs / "dcgan")
    (tmp_path / "in").mkdir()
    noise(20, 30).save(tmp_path / "in" / "secret.jpg")
    noise(16, 16).save(tmp_path / "in" / "other.png")
    gan_command("project", run, "in", "--out", "out", "--starts", "2", "--steps", "10", "--gif")
    latents = ["--latents", "out/latents.safetensors"]
    gan_command("edit", run, *latents, "--set", "brightness=1", "--out", "edited", "--grid")
    gan_command("interpolate", run, *latents, "--frames", "2", "--out", "way.gif")
    names = ["out/secret.jpg.png", "out/other.png.png", "edited/secret.jpg.png", "edited/grid.png", "way.gif"]
    for file in names:
        said = gan_command("reproduce", file, "--model", run, "--sources", "in", "out").stdout
        assert "all bytes are equal" in said and is_free_of_names(tmp_path / file, "secret"), file
    for file, message in (
        ("edited/secret.jpg.png", "made from a file of projected latents that was not found"),
        ("out/secret.jpg.png", "a projection of an image that was not found"),
        ("out/secret.jpg.gif", "GIFs of gan project --gif cannot be reproduced"),
    ):
        error = gan_command("reproduce", file, "--model", run, check=2).stderr
        assert message in error and error.count("\n") == 1


@pytest.mark.slow
def test_translations_are_reproduced(gan_command: Train, tmp_path: Path) -> None:
    (tmp_path / "trained").mkdir()
    run = str(trained("lut", tmp_path / "trained", "model.generator_optimizer.lr=0.1"))
    (tmp_path / "in").mkdir()
    exif = Image.Exif()
    exif[0x013B] = "an artist"
    for suffix in ("jpg", "png", "webp", "tif"):
        noise(70, 50).save(tmp_path / "in" / f"holiday.{suffix}", exif=exif)
    noise(40, 40).save(tmp_path / "in" / "plain.bmp")
    frames = [noise(18, 22), noise(19, 22).resize((18, 22))]
    frames[0].save(tmp_path / "in" / "moves.gif", save_all=True, append_images=frames[1:], duration=[30, 70])
    art = ["--cell", "3", "--palette", "5", "--dither", "bayer", "--direction", "a2b"]
    for out, options in (("film", ["--compare", "sheets"]), ("half", ["--strength", "0.5", "--tile", "64"])):
        gan_command("translate", run, "in", out, *options)
    later = (tmp_path / "sheets" / "holiday.jpg.png").read_bytes()
    (tmp_path / "sheets" / "holiday.jpg.png").unlink()
    gan_command("translate", run, "in", "film", "--compare", "sheets", "--strength", "0.2")
    assert (tmp_path / "sheets" / "holiday.jpg.png").read_bytes() == later
    gan_command("translate", run, "in/holiday.png", "art/holiday.webp", *art)
    files = [f"film/holiday.{suffix}" for suffix in ("jpg", "png", "webp", "tif")] + ["film/moves.gif"]
    files += ["sheets/holiday.jpg.png", "sheets/plain.bmp.png", "half/holiday.png", "art/holiday.webp"]
    for file in files:
        said = gan_command("reproduce", file, "--model", run, "--sources", "in").stdout
        assert "all bytes are equal" in said and is_free_of_names(tmp_path / file, "holiday"), file
    for suffix in ("jpg", "png", "webp", "tif"):
        with Image.open(tmp_path / "film" / f"holiday.{suffix}") as image:
            assert image.getexif()[0x013B] == "an artist"
    assert gan.origin(tmp_path / "film" / "plain.bmp") is None
    error = gan_command("reproduce", "film/holiday.png", "--model", run, check=2).stderr
    assert "a translation of an image that was not found; give its folder" in error and error.count("\n") == 1
    gan_command("translate", run, "in/holiday.jpg", "plain.jpg", "--no-metadata")
    with Image.open(tmp_path / "plain.jpg") as plain, Image.open(tmp_path / "film" / "holiday.jpg") as described:
        assert plain.tobytes() == described.tobytes() and "xmp" not in plain.info and "xmp" in described.info


@pytest.mark.slow
def test_what_cannot_be_reproduced_is_one_line(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run = runs / "dcgan"
    gan_command("generate", str(run), "--seeds", "3", "--out", ".")
    gan_command("generate", str(run), "--seeds", "3", "--out", "plain", "--no-metadata")
    image = tmp_path / "3.png"
    with_record(image, tmp_path / "newer.png", format=2)
    with_record(image, tmp_path / "path.png", path="/etc/passwd")
    with_record(image, tmp_path / "seed.png", seed="../3")
    with_record(image, tmp_path / "classes.png", **{"class": "nowhere"})
    with_record(image, tmp_path / "huge.png", size=[4096, 4096])
    with_record(image, tmp_path / "foreign.png", settings=[["poster2", 1.0]])
    with_record(image, tmp_path / "kind.png", kind="translation", original="0" * 32)
    with_record(image, tmp_path / "long.png", kind="interpolation", frames=10_000, fps=1, seeds=[[0, 999]])
    with_record(image, tmp_path / "scale.png", kind="interpolation", frames=2, fps=1, scale=999, seeds=[0, 9])
    with_record(image, tmp_path / "other.png", model="0" * 32)
    with_record(image, tmp_path / "gone.png", images=999)
    (tmp_path / "text.png").write_text("no image")
    for file, said in (
        ("plain/3.png", "has no metadata of retro-gan"),
        ("newer.png", "has format 2, but this version reads format 1"),
        ("path.png", "impossible value of 'path'"),
        ("seed.png", "impossible value of 'seed'"),
        ("classes.png", "class nowhere: there is no such class"),
        ("huge.png", "its metadata describes more"),
        ("foreign.png", "was edited with poster2, which this model does not have"),
        ("kind.png", "its model is not a translator"),
        ("long.png", "an animation of more than"),
        ("scale.png", "another program has changed its size"),
        ("other.png", "did not make the image (model 00000000, after"),
        ("gone.png", "has no checkpoint at 999 images; it has checkpoints at 8, 16 images; leave --model out"),
        ("text.png", "not a PNG"),
        ("nowhere.png", "there is no file"),
    ):
        error = gan_command("reproduce", file, "--model", str(run), check=2).stderr
        assert said in error and error.startswith("error: ") and error.count("\n") == 1, error
    assert (
        "not found; there are no runs to search; give --model RUN" in gan_command("reproduce", "3.png", check=2).stderr
    )


def test_a_changed_image_is_different(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run = str(runs / "dcgan")
    gan_command("generate", run, "--seeds", "3", "--out", ".")
    chunk = PngInfo()
    with Image.open(tmp_path / "3.png") as image:
        chunk.add_text(KEY, image.info[KEY])
        image.save(tmp_path / "again.png", pnginfo=chunk, compress_level=1)
        image.putpixel((2, 3), tuple(255 - value for value in image.getpixel((2, 3))))  # type: ignore[misc, union-attr]
        image.save(tmp_path / "painted.png", pnginfo=chunk)
    said = gan_command("reproduce", "again.png", "--model", run).stdout
    assert "all pixels are equal, but not the bytes" in said
    said = gan_command("reproduce", "painted.png", "--model", run, check=1).stdout
    assert "another program has changed the image since it was made: 0.391% of the pixels differ" in said
    with_record(tmp_path / "3.png", tmp_path / "seed.png", seed=4, software="retro-gan 0.0.9", **{"class": "neon"})
    said = gan_command("reproduce", "seed.png", "--model", run, check=1).stdout
    assert "different: " in said and "levels of 255; it was made with retro-gan 0.0.9 (" in said
