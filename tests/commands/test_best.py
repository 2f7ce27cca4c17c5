"""`gan generate --best`: the same files under their seeds, and scores that depend on the image alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from gan.evaluation.selection import by_discriminator, by_likeness
from gan.model import load_model as load
from gan.models.address import checkpoint_of
from gan.models.loading import load_data
from gan.runs import checkpoints
from gan.runs.checkpoint_io import load as load_checkpoint
from gan.utils.errors import UserError
from tests.conftest import Train

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("by", ["discriminator", "likeness"])
def test_the_best_images_keep_their_seeds(by: str, runs: Path, gan_command: Train, tmp_path: Path) -> None:
    words = ["generate", str(runs / "dcgan"), "--seeds", "100-119", "--best", "3", "--by", by, "--grid"]
    said = gan_command(*words, "--out", "best").stdout
    found = re.search(rf"the best 3 of 20 images by {by}, the best first: seeds (\d+),(\d+),(\d+)\n", said)
    assert found
    assert {path.stem for path in (tmp_path / "best").iterdir()} == {*found.groups(), "grid"}
    gan_command("generate", str(runs / "dcgan"), "--seeds", ",".join(found.groups()), "--out", "same", "--grid")
    for path in (tmp_path / "best").iterdir():
        assert path.read_bytes() == (tmp_path / "same" / path.name).read_bytes()
    assert found.group() in gan_command(*words, "--out", "again").stdout
    assert "exists already" in gan_command(*words, "--out", "again", check=2).stderr
    one = gan_command(*words, "--out", "one", "--class", "neon").stdout
    assert f"the best 3 of 20 images by {by}" in one


def test_likeness_needs_the_training_images(runs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise UserError("there is no folder 'images'")

    monkeypatch.setattr("gan.evaluation.selection.load_data", missing)
    with pytest.raises(UserError, match="there is no folder 'images'; --by discriminator needs no training images"):
        by_likeness(load(runs / "dcgan"), checkpoint_of(runs / "dcgan"), "cpu")


def test_options_of_the_best_images(runs: Path, gan_command: Train) -> None:
    error = gan_command("generate", str(runs / "dcgan"), "--out", "none", "--best", "17", check=2).stderr
    assert "--best 17: --seeds gives only 16 images; give more, such as --seeds 0-169" in error


@pytest.mark.parametrize("name", ["dcgan", "stylegan2"])  # stylegan2 compares the images of a batch
def test_scores_depend_on_the_image_alone(name: str, runs: Path) -> None:
    model, path = load(runs / name), checkpoint_of(runs / name)
    images, labels = model.generate(list(range(20))).pixels, model.sample_z(list(range(20)))[1]
    assert labels is not None
    for prepare in (by_discriminator, by_likeness):
        score = prepare(model, path, "cpu")
        scores = score(images, labels)
        assert scores.shape == (20,) and len(scores.unique()) > 1
        torch.testing.assert_close(score(images[7:9], labels[7:9]), scores[7:9], rtol=1e-9, atol=0)


def test_likeness_is_the_distance_to_training_images_of_the_class(runs: Path) -> None:
    model, path = load(runs / "dcgan"), checkpoint_of(runs / "dcgan")
    data = load_data(model.config, path)
    real, labels = data.reals(24), data.real_labels(24)
    score = by_likeness(model, path, "cpu")
    noise = torch.randint(0, 256, real.shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert bool((score(real, labels) > score(noise, labels).max()).all())
    other = (labels + 1) % len(model.classes)
    assert float(score(real, labels).mean()) > float(score(real, other).mean())


def test_a_checkpoint_without_a_discriminator_is_an_error_of_one_line(runs: Path, tmp_path: Path) -> None:
    state = load_checkpoint(checkpoint_of(runs / "dcgan"))
    kept = {name: value for name, value in state["state_dict"].items() if not name.startswith("discriminator.")}
    path = tmp_path / checkpoints.checkpoint_path(tmp_path, 16).name
    torch.save({**state, "state_dict": kept}, path)
    with pytest.raises(UserError, match="has no discriminator; --by likeness needs none"):
        by_discriminator(load(runs / "dcgan"), path, "cpu")
