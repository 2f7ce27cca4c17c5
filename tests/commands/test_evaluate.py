"""`gan evaluate`: runs and folders, all rows, records with their protocol, and errors."""

import json
from pathlib import Path

import pytest
from PIL import Image

from gan.data.builtin.retro import draw
from gan.runs import checkpoints
from gan.utils.files import write_json
from tests.conftest import ROOT, TINY, Train, command
from tests.recipes import TINY as RECIPES
from tests.recipes import photographs
from tests.security.checkpoints import write_run


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Return a run whose best checkpoint was selected on held-out images."""
    path = write_run(tmp_path / "run", num_images=160, split="file", validation=0.4)
    write_json(checkpoints.sidecar(path), checkpoints.read_sidecar(path) | {"best": {"checkpoint": path.name}})
    return tmp_path / "run"


def images(folder: Path, first: int, n: int, prefix: str = "") -> Path:
    folder.mkdir()
    for i in range(first, first + n):
        Image.fromarray(draw(0, i, 32, 32)).save(folder / f"{prefix}{i}.png")
    return folder


@pytest.mark.slow
def test_a_run_is_compared_with_its_held_out_images(run: Path, gan_command: Train) -> None:
    result = gan_command("evaluate", "run", "--images", "40", "--extractor", "random_conv,lite0")
    out = result.stdout
    assert "note: the best checkpoint was selected on these images and latents; use --checkpoint last" in result.stderr
    names = [line[:22].strip() for line in out.splitlines()]
    for name in ("generated", "other real images", "blurred 4x", "20 repeated"):
        assert names.count(name) == 2  # one a table
    assert "40 images against 40 of run:val" in out
    assert (run / "samples" / "copies-000000064.png").exists()
    lines = [json.loads(line) for line in (run / "evaluation.jsonl").read_text().splitlines()]
    record = next(line for line in lines if line["metric"] == "kid_x1000" and line["extractor"] == "lite0")
    assert record["row"] == "generated" and record["images"] == record["real"] == 40
    assert record["images_seen"] == 64 and record["checkpoint"] == "images-000000064.ckpt"
    assert record["selected_on_these_images"] is True
    assert record["weights_sha256"] and record["resize"] and record["reference_sha256"] and record["seeds"]
    before = len(lines)
    again = gan_command("evaluate", "run", "--images", "40", "--extractor", "random_conv", "--json").stdout
    values = [json.loads(line)["value"] for line in again.splitlines()]
    assert values == [line["value"] for line in lines if line["extractor"] == "random_conv"]
    assert len((run / "evaluation.jsonl").read_text().splitlines()) == before + len(values)
    words = ["--images", "40", "--extractor", "random_conv", "--json", "--reference", "run:train"]
    others = gan_command("evaluate", "run", *words)  # training was scored on the held-out images
    assert "was selected on" not in others.stderr
    assert json.loads(others.stdout.splitlines()[0])["selected_on_these_images"] is False
    images(run.parent / "others", 1000, 12)
    others = gan_command("evaluate", "run", *words[:-1], "others")
    record = json.loads(others.stdout.splitlines()[0])
    assert record["reference"] == "others" and record["real"] == 12 and record["memorization_images"] > 0


@pytest.mark.slow
def test_scores_in_the_backbone_of_the_discriminator_are_noted(gan_command: Train, tmp_path: Path) -> None:
    words = ["model=projected_light", "model.discriminator.backbone_resolution=32", "images=8", "hydra.run.dir=run"]
    words += [*TINY, "callback.evaluate.extractors=[lite0,random_conv]"]
    trained = command([str(ROOT / "train.py"), *words], tmp_path)
    assert trained.stdout.count("evaluate: lite0 scores favor this model") == 1
    out = gan_command("evaluate", "run", "--images", "20", "--extractor", "lite0,random_conv").stdout
    assert out.count("note: lite0 scores favor this model, whose discriminator uses the same network") == 1


@pytest.mark.slow
def test_scores_are_printed_even_if_they_cannot_be_written(run: Path, gan_command: Train) -> None:
    (run / "evaluation.jsonl").mkdir()
    run.rename(run.with_name("r\x1b[31m\nun"))
    result = gan_command("evaluate", "r\x1b[31m\nun", "--images", "40", "--extractor", "random_conv", check=2)
    assert "generated" in result.stdout
    assert result.stderr.splitlines()[-1].endswith("cannot be written (Is a directory)")
    assert "\x1b" not in result.stdout + result.stderr and "r\\x1b[31m\\nun: 40 images" in result.stdout


@pytest.mark.slow
def test_shared_models_and_folders_are_compared_with_the_images_of_a_run(
    run: Path, gan_command: Train, train: Train, tmp_path: Path
) -> None:
    gan_command("share", "run", "shared", "--license", "mit")
    images(tmp_path / "others", 1000, 12)
    held_out = ["--images", "40", "--extractor", "random_conv", "--reference", "run:val"]
    assert "shared: 40 images against 40 of run:val" in gan_command("evaluate", "shared", *held_out).stdout
    assert "others: 12 images against 40 of run:val" in gan_command("evaluate", "others", *held_out).stdout
    train("images=8", "data.size=32", "hydra.run.dir=other")
    for words, said in (
        (["shared", "--reference", "shared:val"], "shared: a shared model has no images"),
        (["shared", "--reference", "other"], "--reference other: is a run; give other:val or other:train"),
        (["others", "--reference", "other"], "--reference other: is a run; give other:val or other:train"),
        (["shared", "--reference", "other:train"], "has images of 3 x 32 x 32, and shared generates 3 x 16 x 16"),
    ):
        error = gan_command("evaluate", *words, check=2).stderr.splitlines()[-1]
        assert error.startswith("error: ") and said in error, error


@pytest.mark.slow
def test_bad_input_is_one_line(run: Path, gan_command: Train, tmp_path: Path) -> None:
    images(tmp_path / "real", 0, 3)
    (tmp_path / "one").mkdir()
    Image.new("RGB", (8, 8)).save(tmp_path / "one" / "a.png")
    for words, said in (
        (["real"], "--reference FOLDER"),
        (["one", "--reference", "real"], "at least two images"),
        (["real", "--reference", "real", "--extractor", "lite1"], "not known"),
    ):
        error = gan_command("evaluate", *words, check=2).stderr.splitlines()[-1]
        assert error.startswith("error: ") and said in error, error


@pytest.mark.slow
def test_a_translator_is_compared_with_closed_forms(gan_command: Train, tmp_path: Path) -> None:
    data = ["data=retro_filter", f"data.root={photographs()}", "data.split=file", "data.size=32"]
    write_run(tmp_path / "run", ["model=lut", *RECIPES["lut"], *data, "data.validation=0.4"])
    result = gan_command("evaluate", "run", "--extractor", "random_conv")
    names = [line[:22].strip() for line in result.stdout.splitlines()]
    for name in ("generated", "translated", "input unchanged", "flexible_transport", "truth of another"):
        assert name in names
    lines = [json.loads(line) for line in (tmp_path / "run" / "evaluation.jsonl").read_text().splitlines()]
    gains = {line["row"]: line["value"] for line in lines if line["metric"] == "gain"}
    assert gains["input unchanged"] == 0 and "was selected on these images" not in result.stderr
    kept = next((tmp_path / "run" / "checkpoints").glob("*.ckpt"))
    write_json(checkpoints.sidecar(kept), checkpoints.read_sidecar(kept) | {"best": {"checkpoint": kept.name}})
    result = gan_command("evaluate", "run", "--extractor", "random_conv", "--json")
    assert "note: the best checkpoint was selected on these images; use --checkpoint last" in result.stderr
    assert json.loads(result.stdout.splitlines()[0])["selected_on_these_images"] is True
    error = gan_command("evaluate", "run", "--reference", "run:train", check=2).stderr
    assert "evaluated on the held-out images of its run" in error and error.count("\n") == 1
    data = ["data=unpaired", f"data.a={photographs()}", f"data.b={photographs()}", "data.size=32"]
    write_run(tmp_path / "whole", ["model=lut", *RECIPES["lut"], *data])
    said = gan_command("evaluate", "whole", "--extractor", "random_conv").stderr
    assert "note: no images were held out, so training images are translated; train with data.split=file" in said
    error = gan_command("evaluate", "whole", "--reference", "whole:val", check=2).stderr
    assert "error: whole: has no held-out images" in error.splitlines()[-1] and error.count("error") == 1
