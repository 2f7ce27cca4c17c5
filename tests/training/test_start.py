"""Starting from another model: which models are refused, and what is said about the weights that are kept."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.common.errors import UserError
from gan.training.start import describe_classes, start_from
from tests.recipes import build
from tests.security.checkpoints import DCGAN, STYLEGAN2, checkpoint


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        (["a", "b"], ["c", "a"], "classes: a kept; c from the mean of all classes"),
        (["a", "b"], ["c", "d"], "classes: c, d from the mean of all classes"),
        (["a", "b"], ["b", "a"], "classes: b, a kept"),
        (["a", "b"], [], "no classes; the weights of 2 classes are averaged"),
        ([], ["a"], "classes: all start from the weights of the model without classes"),
    ],
)
def test_what_classes_start_from_is_said(before: list[str], now: list[str], said: str) -> None:
    assert describe_classes(before, now) == said


def save(path: Path, state: dict[str, Any]) -> Path:
    torch.save(state, path)
    return path


def of_dcgan() -> Any:
    """Return a small DCGAN, whose configuration names its generator."""
    module, _ = build("dcgan", *DCGAN)
    module.config = {"model": {"generator": {"_target_": "gan.networks.dcgan.Generator"}}}
    return module


def test_a_model_that_shares_nothing_is_refused(tmp_path: Path) -> None:
    other = ["data.size=24", "model.generator.upsampling=nearest"]  # another grid, and convolutions of other sizes
    with pytest.raises(UserError, match="has no weights that fit this model"):
        start_from(of_dcgan(), save(tmp_path / "a.ckpt", checkpoint([*DCGAN, *other])), [])
    with pytest.raises(UserError, match="its generator has another class"):
        start_from(of_dcgan(), save(tmp_path / "b.ckpt", checkpoint(STYLEGAN2)), [])


@pytest.mark.parametrize("prefix", ["ema.module.", "discriminator."])
def test_weights_that_are_not_finite_or_of_another_network_are_refused(prefix: str, tmp_path: Path) -> None:
    state = checkpoint(DCGAN)
    name = next(name for name in state["state_dict"] if name.startswith(prefix))
    module = of_dcgan()
    module.config["model"]["discriminator"] = {"_target_": "gan.networks.dcgan.Discriminator"}
    for value, message in ((torch.nan, "not finite"), (None, "do not fit its configuration")):
        broken = copy.deepcopy(state)
        if value is None:
            broken["state_dict"][name] = broken["state_dict"][name][:1]
        else:
            broken["state_dict"][name].view(-1)[0] = value
        with pytest.raises(UserError, match=message):
            start_from(module, save(tmp_path / "a.ckpt", broken), [])


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b"]])
@pytest.mark.parametrize("counts", [torch.ones(3), torch.ones(()), "text", torch.ones(2)])
def test_classes_that_are_not_those_of_the_generator_are_refused(names: list[str], counts: Any, tmp_path: Path) -> None:
    state = checkpoint(DCGAN)
    state["classes"], state["state_dict"]["class_counts"] = names, counts
    with pytest.raises(UserError, match="its generator has 0 classes, but the names or counts of classes do not match"):
        start_from(of_dcgan(), save(tmp_path / "a.ckpt", state), [])


def test_notes_say_how_to_keep_more_and_that_frozen_layers_stay_extended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module, _ = build("dcgan", *DCGAN, "data.channels=4", "model.generator.width=8", "model.generator.latent_dim=4")
    module.config = {"model": checkpoint(DCGAN)["config"]["model"]}
    module.config["model"]["generator"] |= {"width": 8, "latent_dim": 4}
    start = save(tmp_path / "a.ckpt", checkpoint(DCGAN))
    start_from(module, start, [])
    said = capsys.readouterr().out
    together = "model.generator.width=4 model.generator.latent_dim=8, as in the other model, keep more weights"
    assert f"note: {together}\n" in said and said.count("note: ") == 1
    module.frozen = {"discriminator": ["from_image", "blocks.0"]}
    start_from(module, start, [])
    said = capsys.readouterr().out
    assert "freeze.discriminator: from_image, blocks.0\n" in said
    assert "note: freeze.discriminator: from_image: cut or extended; new channels keep their random weights\n" in said


def test_a_rate_of_zero_needs_new_weights_and_other_rates_are_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    module, start = of_dcgan(), save(tmp_path / "a.ckpt", checkpoint(DCGAN))
    module.kept_lr_factor = 0.5
    start_from(module, start, [])
    assert "model.kept_lr_factor: kept weights have 0.5 times the learning rate\n" in capsys.readouterr().out
    module.kept_lr_factor = 0.0
    with pytest.raises(UserError, match=r"model\.kept_lr_factor=0: the generator has no new layer"):
        start_from(module, start, [])


def test_a_new_alpha_channel_is_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module, _ = build("dcgan", *DCGAN, "data.channels=4")
    state = checkpoint(DCGAN)
    module.config = {"model": state["config"]["model"], "data": {"channels": 4}}
    start_from(module, save(tmp_path / "a.ckpt", state), [])
    assert "note: the alpha channel is new, so images start half transparent\n" in capsys.readouterr().out


def test_a_generator_alone_starts_with_an_untrained_discriminator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, state = of_dcgan(), checkpoint(DCGAN)
    before = {name: value.clone() for name, value in new.discriminator.state_dict().items()}
    weights = {name: value for name, value in state["state_dict"].items() if name.startswith("ema.module.")}
    start_from(new, save(tmp_path / "a.ckpt", {**state, "state_dict": weights}), [])
    assert "has no discriminator; training starts with an untrained one" in capsys.readouterr().out
    assert all(torch.equal(value, before[name]) for name, value in new.discriminator.state_dict().items())
    for network in (new.generator, new.ema.module):
        assert all(torch.equal(value, weights[f"ema.module.{name}"]) for name, value in network.state_dict().items())
    assert set(new.kept) == {"generator"}
    new.frozen = {"discriminator": ["from_image"]}
    with pytest.raises(UserError, match=r"freeze\.discriminator: .*a\.ckpt has no discriminator; leave"):
        start_from(new, tmp_path / "a.ckpt", [])
