"""Images say where they come from, and `gan info` prints the command that makes the same bytes again."""

import getpass
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

import gan
from gan.editing.vector_files import fingerprint
from gan.records.provenance import model_hash
from gan.records.record import software
from tests.commands.test_translate import made, noise
from tests.conftest import Train
from tests.recipes import TINY as RECIPES


def is_free_of_names(path: Path, *names: str) -> bool:
    """Return whether a file has neither these names nor the folder of the test nor the user's name."""
    data = path.read_bytes()
    user = getpass.getuser()
    found = [*names, str(path.parent), "/tmp", *([user] if len(user) > 4 else [])]  # a short name occurs by chance
    return not any(name.encode() in data for name in found)


def test_an_image_says_what_made_it(runs: Path, gan_command: Train, tmp_path: Path) -> None:
    run, model = str(runs / "dcgan"), gan.load(runs / "dcgan")
    gan_command("generate", run, "--seeds", "0-3,9", "--out", "images", "--grid")
    record = gan.origin(tmp_path / "images" / "9.png")
    assert record is not None
    label = model.classes[int(model.sample_z([9])[1])]
    expected = {"format": 1, "software": software(), "kind": "image", "images": 64, "seed": 9, "class": label}
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
def test_the_printed_command_makes_the_same_bytes(name: str, runs: Path, gan_command: Train, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    noise(20, 30).save(tmp_path / "in" / "secret.jpg")
    run, latents = str(runs / name), "out/latents.safetensors"
    mapped = ["--truncation", "0.6"] if name == "stylegan2" else []
    changes = ["--set", "brightness=1", "contrast=0", "zoom=0.3", "--mix", "3:0-2" if mapped else "3:0.3"]
    gan_command("project", run, "in", "--out", "out", "--starts", "2", "--steps", "10")
    gan_command("generate", run, "--seeds", "4,7", "--class", "neon", "--grid", "--out", "generated", *mapped)
    gan_command("edit", run, "--seeds", "1-4", "--grid", "--out", "edited", *changes)
    gan_command("edit", run, "--latents", latents, "--set", "contrast=1", "--out", "large")
    words = ["--seeds", "5,2,5", "--frames", "3", "--fps", "8", "--scale", "2", "--loop", "--out", "way.gif"]
    gan_command("interpolate", run, *words, *mapped)
    files = ["generated/4.png", "generated/grid.png", "edited/1.png", "edited/grid.png", "large/secret.jpg.png"]
    for file in [*files, "way.gif"]:
        command = printed_command(gan_command, file).replace("RUN", run).replace("LATENTS.safetensors", latents)
        out = "again.gif" if file == "way.gif" else "again"
        gan_command(*shlex.split(command)[1:], "--out", out, "--force")
        again = tmp_path / out if file == "way.gif" else tmp_path / out / Path(file).name
        assert again.read_bytes() == (tmp_path / file).read_bytes(), command
        assert is_free_of_names(tmp_path / file, name, "secret"), file


@pytest.mark.slow
def test_the_printed_command_makes_the_same_translation(gan_command: Train, tmp_path: Path) -> None:
    run = str(made(tmp_path, "model=lut", *RECIPES["lut"]))
    exif = Image.Exif()
    exif[0x013B] = "an artist"
    for suffix in ("jpg", "png", "webp", "tif"):
        noise(70, 50).save(tmp_path / f"holiday.{suffix}", exif=exif)
        art = ["--cell", "3", "--dither", "none", "--strength", "0.5"] if suffix == "png" else []
        for translator, options in ((run, art), ("look:film:vignette=0.2", ["--seed", "3"])):
            file, again = f"film.{suffix}", f"again.{suffix}"
            gan_command("translate", translator, f"holiday.{suffix}", file, *options, "--force")
            with Image.open(tmp_path / file) as image:
                assert image.getexif()[0x013B] == "an artist"
            words = printed_command(gan_command, file).replace("RUN", run)
            words = words.replace("INPUT OUTPUT", f"holiday.{suffix} {again}")
            gan_command(*shlex.split(words)[1:], "--force")
            assert (tmp_path / again).read_bytes() == (tmp_path / file).read_bytes(), words
            assert is_free_of_names(tmp_path / file, "holiday")


def test_a_file_without_a_record_is_one_line(gan_command: Train, tmp_path: Path) -> None:
    noise(8, 8).save(tmp_path / "plain.png")
    assert "has no metadata of retro-gan" in gan_command("info", "plain.png", check=2).stderr


def printed_command(gan_command: Train, file: str) -> str:
    """Return the command that `gan info` prints for a file."""
    found = re.search("^command: +(.*)$", gan_command("info", file).stdout, re.MULTILINE)
    assert found
    return found[1]
