"""gan share writes a folder without paths, user names or code, and the folder gives the same images as the run."""

import json
import os
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

import gan
from gan.export import share
from gan.models import address, card, shared_files
from gan.models.loading import load_discriminator
from gan.models.shared_model import CARD, CONFIG, SAMPLES, WEIGHTS
from gan.runs.checkpoint_io import AtomicCheckpointIO
from gan.utils.errors import UserError
from tests.conftest import Train
from tests.security.checkpoints import LUT, checkpoint

from .conftest import CLASSES, USER


@pytest.mark.slow
def test_the_model_is_that_of_the_run(run: Path, shared: Path) -> None:
    own, other = gan.load(run), gan.load(shared)
    assert torch.equal(own.sample(4).tensor, other.sample(4).tensor)
    assert other.classes == list(CLASSES) == own.classes and other.images == own.images == 64
    assert torch.equal(own.class_counts, other.class_counts)
    assert torch.equal(gan.load(shared / WEIGHTS).sample(4).tensor, other.sample(4).tensor)
    for mine, theirs in zip(load_discriminator(run)[:2], load_discriminator(shared)[:2], strict=True):
        for name, value in mine.state_dict().items():
            assert torch.equal(value, theirs.state_dict()[name])


@pytest.mark.slow
def test_a_shared_folder_can_be_shared_again(shared: Path, files: dict[str, bytes]) -> None:
    again = share.collect(shared, name="shared", license="mit", discriminator=True)
    assert {name: again[name] for name in (WEIGHTS, CONFIG, SAMPLES)} == {
        name: files[name] for name in (WEIGHTS, CONFIG, SAMPLES)
    }


@pytest.mark.slow
def test_no_file_has_private_data(run: Path, files: dict[str, bytes]) -> None:
    assert sorted(files) == sorted([WEIGHTS, CONFIG, CARD, SAMPLES])
    for name, content in files.items():
        for secret in (USER, str(run), os.path.expanduser("~"), "/home", "/tmp"):
            assert secret.encode() not in content, (name, secret)
    about = json.loads(files[CONFIG])
    assert about["kind"] == "generator" and set(about["data"]) == {
        "size", "channels", "fit", "patches_per_image", "resample", "background"}  # fmt: skip


@pytest.mark.slow
def test_the_model_card_is_valid_and_has_the_scores_of_the_checkpoint(files: dict[str, bytes]) -> None:
    hub = pytest.importorskip("huggingface_hub")
    found, _ = card.split(files[CARD].decode())
    assert found["license"] == "cc-by-4.0" and found["library_name"] == "retro-gan"
    assert found["pipeline_tag"] == "unconditional-image-generation" and found["tags"] == ["gan", "dcgan"]
    read = hub.ModelCard(files[CARD].decode())
    (score,) = read.data.eval_results
    assert (score.metric_type, score.metric_value, score.dataset_name) == ("kid_x1000", 4.5, "Old *cards*")
    assert score.metric_args["reference"] == "held-out" and score.metric_args["extractor"] == "lite0"
    assert read.data.to_dict()["pipeline_tag"] == found["pipeline_tag"]
    text = read.text
    assert "neon sign\\|\\*" in text and "Old \\*cards\\*" in text and "gan generate DIR" in text
    assert f"]({SAMPLES})" in text and "4.5" in text


@pytest.mark.slow
def test_the_command(run: Path, gan_command: Train, tmp_path: Path) -> None:
    said = gan_command("share", str(run), "out", "--license", "CC-BY-4.0", "--trained-on", "cards").stdout
    assert "model.safetensors" in said
    with Image.open(tmp_path / "out" / SAMPLES) as samples:
        assert samples.size == (8 * 66 + 2, 2 * 66 + 2)  # a row for each class
    (tmp_path / "out" / ".gitattributes").write_text("kept")
    before = (tmp_path / "out" / CONFIG).read_bytes()
    assert "--force" in gan_command("share", str(run), "out", "--license", "mit", check=2).stderr
    gan_command("share", str(run), "out", "--license", "mit", "--no-samples", "--force")
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / CARD).write_text("mine")
    said = gan_command("share", str(run), "notes", "--license", "mit", "--force", check=2).stderr
    assert f"notes: is not a shared model, and its {CARD} would be lost" in said
    shutil.rmtree(tmp_path / "notes")
    assert not (tmp_path / "out" / SAMPLES).exists()
    gan_command("share", str(run), "out", "--license", "mit", "--discriminator", "--force")
    assert (tmp_path / "out" / ".gitattributes").read_text() == "kept"
    assert (tmp_path / "out" / CONFIG).read_bytes() != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out"]
    said = gan_command("generate", "out", "--seeds", "0").stdout
    assert "current folder" in said and (tmp_path / "generated" / "0.png").exists()
    gan_command("directions", "out", "--sefa", "1", "--pca", "1", "--seeds", "0")
    gan_command("edit", "out", "--seeds", "0", "--set", "pca0=1", "--out", "edited")
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name != ".gitattributes") == sorted(
        [WEIGHTS, CONFIG, CARD, SAMPLES]
    )


def test_a_seamless_copy_is_shared_as_such(run: Path, tmp_path: Path) -> None:
    model = gan.load(run).seamless("x")
    shared_files.write(tmp_path, shared_files.collect(model, name="x", license="mit", trained_on=None))
    assert torch.equal(gan.load(tmp_path).sample(2).tensor, model.sample(2).tensor)


def test_an_interrupted_write_leaves_whole_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared_files.write(tmp_path / "out", {"a": b"1"})

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(UserError, match="out: cannot be written"):
        shared_files.write(tmp_path / "out", {"a": b"2", "b": b"2"})
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {"a": b"1"}


def test_an_option_that_is_a_path_is_not_shared() -> None:
    with pytest.raises(UserError, match="is a path"):
        shared_files.refuse_paths("model", {"generator": {"parts": [{"weights": "/home/me/weights.pt"}]}})


@pytest.mark.slow
def test_a_translator(tmp_path: Path, gan_command: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    run = tmp_path / "run.ckpt"
    AtomicCheckpointIO().save_checkpoint(checkpoint(LUT), run)
    said = gan_command("share", "run.ckpt", "film", "--license", "mit").stdout
    assert f"no {SAMPLES}" in said and not (tmp_path / "film" / SAMPLES).exists()  # the photographs are not there
    photo = Image.effect_noise((40, 30), 90).convert("RGB")
    assert gan.load(run).translate(photo).tobytes() == gan.load(tmp_path / "film").translate(photo).tobytes()
    photo.save(tmp_path / "photo.png")
    assert "current folder" in gan_command("translate", "film", "photo.png").stdout
    assert (tmp_path / "translated" / "photo.png").exists()
    assert "a shared translator cannot be evaluated" in gan_command("evaluate", "film", check=2).stderr


@pytest.mark.slow
def test_half_weights(run: Path, shared: Path, gan_command: Train, tmp_path: Path) -> None:
    gan_command("share", str(run), "half", "--license", "mit", "--fp16", "--no-samples")
    half = tmp_path / "half"
    whole = share.collect(run, name="whole", license="mit", samples=False)[WEIGHTS]
    assert (half / WEIGHTS).stat().st_size < 0.6 * len(whole)
    made, expected = gan.load(half).sample(4).tensor, gan.load(run).sample(4).tensor
    assert (made.int() - expected.int()).abs().max() <= 1
    assert {value.dtype for value in gan.load(half).generator.state_dict().values()} <= {torch.float32, torch.int64}


def test_a_delta_has_only_the_weights_that_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = gan.load("zoo:start64")
    other = gan.load("zoo:start64")
    with torch.no_grad():
        other.generator.to_image.weight += 0.01
    whole = shared_files.encode(
        {"generator": other.generator}, other.config, 1, other.classes, other.class_counts, half=True
    )
    files = share.without_base(whole, "zoo:start64")
    assert len(files[WEIGHTS]) < 0.02 * len(whole[WEIGHTS])
    shared_files.write(tmp_path / "whole", whole)
    shared_files.write(tmp_path / "delta", files)
    found, expected = gan.load(tmp_path / "delta"), gan.load(tmp_path / "whole")
    for name, value in expected.generator.state_dict().items():
        assert torch.equal(found.generator.state_dict()[name], value)
    assert base.blend(found, weight=1) is found and base.blend(found, weight=0) is base
    assert found.config["init_from"] == "zoo:start64"  # as for a run: its license
    half = base.blend(found, weight=0.5).generator.to_image.weight
    torch.testing.assert_close(half, base.generator.to_image.weight + 0.005, atol=2e-4, rtol=0)
    monkeypatch.setattr(address, "ZOO_FOLDER", tmp_path)
    with pytest.raises(UserError, match="must be zoo:NAME or hf://USER/NAME, and no delta"):
        share.without_base(whole, "zoo:delta")


def test_weights_that_float16_has_not_stay() -> None:
    large, small, vector = torch.tensor([[1e5, 1.0]]), torch.tensor([[1.0, 0.1]]), torch.tensor([1.0, 0.1])
    assert shared_files.halved(large).dtype == shared_files.halved(vector).dtype == torch.float32
    assert shared_files.halved(small).dtype == torch.float16
