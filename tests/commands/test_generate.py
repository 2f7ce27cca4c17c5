"""`gan generate`: one PNG per seed with the same bytes in any batch, and errors."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gan
from gan.data.builtin.retro import CLASSES
from gan.metrics.extractors import extractor, features
from gan.metrics.pixels import thumbnails
from gan.settings import parse_seeds
from gan.utils.errors import UserError
from tests.conftest import Train
from tests.security.checkpoints import DCGAN, write_run


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run with an alpha channel and classes."""
    folder = tmp_path_factory.mktemp("run") / "run"
    write_run(folder, [*DCGAN, "data.channels=4"], CLASSES, labels=True)
    return folder


def test_seeds_are_read_as_written() -> None:
    assert parse_seeds("0-3,42,2") == [0, 1, 2, 3, 42]
    for text in ("", "a", "3-1", "1--2", "-1", "0-99999999999", "0-9999999,0"):
        with pytest.raises(UserError):
            parse_seeds(text)


def test_a_seed_gives_the_same_bytes_in_any_batch(run: Path, gan_command: Train, tmp_path: Path) -> None:
    gan_command("generate", str(run), "--seeds", "0-20,99", "--out", "many", "--grid")
    gan_command("generate", str(run), "--seeds", "99,7", "--out", "few", "--checkpoint", "last")
    names = sorted(path.name for path in (tmp_path / "many").iterdir())
    assert names == sorted([*(f"{seed}.png" for seed in [*range(21), 99]), "grid.png"])
    for name in ("99.png", "7.png"):
        assert (tmp_path / "many" / name).read_bytes() == (tmp_path / "few" / name).read_bytes()
    with Image.open(tmp_path / "few" / "7.png") as picture:
        assert (picture.mode, picture.size) == ("RGBA", (16, 16))
    previews = gan.load(run).sample(4, seed=0).pixels
    assert previews.shape == (4, 4, 16, 16) and previews.dtype == torch.uint8
    assert torch.equal(gan.load(run, "last").sample(1, seed=3).pixels[0], previews[3])


def test_another_size(run: Path, gan_command: Train, tmp_path: Path) -> None:
    gan_command("generate", str(run), "--seeds", "7", "--size", "16x32", "--out", "wide")
    gan_command("edit", str(run), "--seeds", "7", "--size", "16x32", "--out", "edited")
    with Image.open(tmp_path / "wide" / "7.png") as picture:
        assert picture.size == (32, 16)
    assert (tmp_path / "wide" / "7.png").read_bytes() == (tmp_path / "edited" / "7.png").read_bytes()


def test_a_class_can_be_selected(run: Path, gan_command: Train, tmp_path: Path) -> None:
    gan_command("generate", str(run), "--seeds", "3,5", "--class", "sprite", "--out", "sprites")
    model = gan.load(run)
    assert model.classes == ["poster", "sprite", "photograph", "neon"]
    pictures = model.generate([3, 5], label="sprite").pixels
    assert not torch.equal(pictures, model.generate([3, 5], label="neon").pixels)
    with Image.open(tmp_path / "sprites" / "5.png") as picture:
        assert np.array_equal(np.asarray(picture)[..., 3], pictures[1, 3])
    unknown = gan_command("generate", str(run), "--class", "map", "--out", "none", check=2).stderr
    assert "class map: there is no such class; choose from poster, sprite, photograph, neon" in unknown


def test_the_most_similar_images_are_those_of_their_seeds(run: Path, gan_command: Train, tmp_path: Path) -> None:
    gan_command("generate", str(run), "--seeds", "0-20", "--out", "all")
    options = ["--seeds", "0-20", "--out", "like", "--grid"]
    said = gan_command("generate", str(run), "--like", "all/17.png", "--nearest", "3", *options).stdout
    (line,) = (line for line in said.splitlines() if line.startswith("nearest first: "))
    seeds = line.removeprefix("nearest first: ").split(",")
    model, total = gan.load(run), np.zeros(21)
    images, target = model.sample(21).pixels, model.decode(tmp_path / "all" / "17.png").pixels
    for weight, function in ((1, partial(features, extractor("lite0"))), (0.5, thumbnails)):
        distances = np.linalg.norm(function(images).double() - function(target).double(), axis=1)
        total += weight * distances / distances.mean()
    assert [int(seed) for seed in seeds] == total.argsort()[:3].tolist()
    assert {path.name for path in (tmp_path / "like").iterdir()} == {"grid.png", *(f"{seed}.png" for seed in seeds)}
    for seed in seeds:
        assert (tmp_path / "like" / f"{seed}.png").read_bytes() == (tmp_path / "all" / f"{seed}.png").read_bytes()
    gan_command("generate", str(run), "--seeds", line.removeprefix("nearest first: "), "--out", "again", "--grid")
    assert (tmp_path / "like" / "grid.png").read_bytes() == (tmp_path / "again" / "grid.png").read_bytes()
    sprites = ["--like", "all/17.png", "--nearest", "1", "--seeds", "0-15", "--class", "sprite", "--out", "sprite"]
    gan_command("generate", str(run), *sprites)
    (found,) = (tmp_path / "sprite").iterdir()
    assert gan.origin(found)["class"] == "sprite"


def test_errors_of_like(run: Path, gan_command: Train, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"x")
    for words, said in (
        (["--like", "broken.png"], "broken.png: "),
        (["--like", "."], "--like .: give one image"),
        (["--like", "none.png"], "there is no file 'none.png'"),
        (["--nearest", "3"], "--nearest 3: needs an image; add --like IMAGE"),
        (["--like", "broken.png", "--nearest", "0"], "--nearest=0: must be an integer of at least 1"),
    ):
        error = gan_command("generate", str(run), *words, "--out", "none", check=2).stderr
        assert said in error and error.count("\n") == 1


def test_a_folder_of_runs_lists_them(run: Path, gan_command: Train) -> None:
    error = gan_command("generate", str(run.parent), check=2).stderr
    assert f"give one of the runs in it: {run}" in error and error.count("\n") == 1


def test_arguments_of_another_type_are_refused(run: Path) -> None:
    model = gan.load(run)
    for call, said in (
        (lambda: model.sample("a"), "n=a: must be an integer"),
        (lambda: model.generate(["a"]), "seed a: give a whole number from 0 to 2"),
        (lambda: model.edit(4), "latents of type int: give a tensor, or what"),
        (lambda: model.synthesize("a.png"), "latents of type str"),
    ):
        with pytest.raises(UserError, match=said):
            call()
    assert len(model.generate([np.int64(3)])) == 1


def test_existing_files_are_not_overwritten(run: Path, gan_command: Train, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "3.png").write_text("precious")
    assert "--force" in gan_command("generate", str(run), "--out", "out", check=2).stderr
    assert (tmp_path / "out" / "3.png").read_text() == "precious"
    gan_command("generate", str(run), "--out", "out", "--force")
    assert (tmp_path / "out" / "3.png").read_bytes().startswith(b"\x89PNG")


def test_seamless_images_repeat_and_say_so(run: Path, gan_command: Train, tmp_path: Path) -> None:
    options = ["--seeds", "0-15", "--seamless", "x"]
    gan_command("generate", str(run), *options, "--tiled", "2", "--out", "two")
    gan_command("generate", str(run), *options, "--out", "one")
    with Image.open(tmp_path / "one" / "3.png") as one, Image.open(tmp_path / "two" / "3.png") as two:
        pixels = np.array(one)
        assert np.array_equal(np.tile(pixels, (2, 2, 1)), np.asarray(two))
    told = gan_command("info", str(tmp_path / "two" / "3.png")).stdout
    assert " --seamless x --tiled 2" in told
    model = gan.load(run)
    wrapped = model.seamless("x")
    assert np.array_equal(np.array(wrapped.sample(4)[3]), pixels)
    frames = wrapped.interpolate([0, 1], frames=2).pixels
    assert torch.equal(frames[0], wrapped.sample(1).pixels[0]) and not torch.equal(frames[0], model.sample(1).pixels[0])


def test_a_run_can_be_trained_on_a_torus(train: Train, gan_command: Train, tmp_path: Path) -> None:
    train("images=16", "model.seamless=both", "penalty=r1", "hydra.run.dir=run")
    pixels = gan.load(tmp_path / "run").sample(4).pixels
    gan_command("share", "run", "shared", "--license", "CC0-1.0")
    assert torch.equal(gan.load(tmp_path / "shared").sample(4).pixels, pixels)
    assert "seamless" in train("model.seamless=xy", check=2).stderr
    assert (
        "needs a generator"
        in gan_command("export", "zoo:film", "--to", "onnx", "--seamless", "x", "--out", "o", check=2).stderr
    )


@pytest.mark.parametrize("number", ["0", "65", "100000", "two"])
def test_repetitions_have_a_limit(number: str, gan_command: Train) -> None:
    said = gan_command("generate", "zoo:tiles32", "--seeds", "0", "--tiled", number, check=2).stderr
    assert f"--tiled {number}: give a whole number from 1 to 64" in said


def test_repeated_images_have_a_limit(gan_command: Train, tmp_path: Path) -> None:
    for model, options in (("zoo:prints128", ["--seeds", "0"]), ("zoo:tiles32", ["--seeds", "0-8", "--grid"])):
        said = gan_command("generate", model, *options, "--tiled", "64", "--out", "out", check=2).stderr
        assert "--tiled 64" in said and "pixels" in said and not any((tmp_path / "out").glob("*"))
