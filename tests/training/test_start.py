"""Starting from another model: what fits is kept, across size, channels, classes and width; the rest is new."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from gan.common.errors import UserError
from gan.networks import dcgan, r3gan, resnet, stylegan2
from gan.training.freeze import freeze, layers
from gan.training.start import copy_weights, describe, describe_classes, of_classes, start_from
from tests.recipes import build
from tests.security.checkpoints import DCGAN, STYLEGAN2, checkpoint

CLASSES = ["poster", "sprite"]


def generator(size: int = 16, **options: int) -> dcgan.Generator:
    return dcgan.Generator((size, size), **{"width": 4, "latent_dim": 8, **options})


def discriminator(size: int = 16, **options: int) -> dcgan.Discriminator:
    return dcgan.Discriminator((size, size), **{"width": 4, **options})


def test_the_same_network_keeps_all() -> None:
    torch.manual_seed(0)
    old, new = generator(), generator()
    carried = copy_weights(new, old.state_dict(), [], [])
    new.load_state_dict(carried.state)
    z = torch.randn(3, 8)
    assert torch.equal(old.eval()(z), new.eval()(z))
    assert not carried.resized and not carried.new
    total = sum(p.numel() for p in new.parameters())
    assert describe(new, carried) == f"{total:,} of {total:,} parameters kept"


def test_a_larger_size_adds_the_first_block_of_the_generator_and_keeps_the_others() -> None:
    old, new = generator(64), generator(128)  # 8, 8, 4, 2, 1 times the width, after 8, 4, 2, 1
    carried = copy_weights(new, old.state_dict(), [], [])
    assert describe(new, carried).endswith("; new: blocks.0")
    for number in range(3):
        assert torch.equal(
            carried.state[f"blocks.{number + 1}.0.weight"], old.state_dict()[f"blocks.{number}.0.weight"]
        )


def test_a_larger_size_keeps_the_first_layers_of_the_discriminator() -> None:
    old, new = discriminator(64), discriminator(128)
    carried = copy_weights(new, old.state_dict(), [], [])
    assert describe(new, carried).endswith("; new: blocks.3")
    assert torch.equal(carried.state["blocks.0.0.weight"], old.state_dict()["blocks.0.0.weight"])


def test_a_smaller_size_leaves_blocks_out() -> None:
    old, new = generator(128), generator(64)
    carried = copy_weights(new, old.state_dict(), [], [])
    assert not carried.new and torch.equal(carried.state["to_image.weight"], old.state_dict()["to_image.weight"])
    assert torch.equal(carried.state["blocks.2.0.weight"], old.state_dict()["blocks.3.0.weight"])


def test_stages_of_the_same_grid_keep_their_weights_where_widths_depend_on_the_grid() -> None:
    old = stylegan2.Generator((16, 16), width=8, max_channels=8, latent_dim=8)
    new = stylegan2.Generator((32, 32), width=8, max_channels=8, latent_dim=8)
    carried = copy_weights(new, old.state_dict(), [], [])
    assert sum(carried.state[name].numel() for name in carried.kept) > 0.6 * sum(p.numel() for p in new.parameters())


def test_channels_in_common_are_kept() -> None:
    old, new = discriminator(channels=3), discriminator(channels=4)
    carried = copy_weights(new, old.state_dict(), [], [])
    weight, before = carried.state["from_image.0.weight"], new.state_dict()["from_image.0.weight"]
    assert torch.equal(weight[:, :3], old.state_dict()["from_image.0.weight"])
    assert torch.equal(weight[:, 3:], before[:, 3:])
    assert describe(new, carried).endswith("; cut or extended: from_image")
    back = copy_weights(old, new.state_dict(), [], [])
    assert torch.equal(back.state["from_image.0.weight"], before[:, :3])


def test_a_wider_network_contains_the_narrower_one() -> None:
    old, new = generator(width=4), generator(width=6)
    carried = copy_weights(new, old.state_dict(), [], [])
    weight = old.state_dict()["blocks.0.0.weight"]
    assert torch.equal(carried.state["blocks.0.0.weight"][: weight.shape[0], : weight.shape[1]], weight)
    assert not carried.kept and not carried.new
    of_old, of_new = (sum(p.numel() for p in network.parameters()) for network in (old, new))
    assert describe(new, carried).startswith(f"{of_old:,} of {of_new:,} parameters kept; cut or extended: stem")


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


def test_each_class_keeps_its_weights_and_a_new_one_gets_the_mean() -> None:
    rows = torch.tensor([[1.0], [3.0]])
    assert of_classes(rows, ["a", "b"], ["b", "c", "a"]).flatten().tolist() == [3, 2, 1]
    assert of_classes(rows, ["a", "b"], ["a", "b"]) is rows


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (generator(classes=0), generator(classes=2)),
        (
            resnet.Generator((16, 16), width=4, latent_dim=8),
            resnet.Generator((16, 16), width=4, latent_dim=8, classes=2),
        ),
    ],
)
def test_all_classes_start_as_the_network_without_classes(old: torch.nn.Module, new: torch.nn.Module) -> None:
    old, new = old.double(), new.double()  # rounding differs between both kinds of BatchNorm
    for norm in (module for module in old.modules() if isinstance(module, torch.nn.BatchNorm2d)):
        torch.nn.init.normal_(norm.bias)
    new.load_state_dict(copy_weights(new, old.state_dict(), [], CLASSES).state)
    z = torch.randn(3, 8, dtype=torch.float64)
    expected = old.eval()(z)
    assert torch.allclose(new.eval()(z, torch.tensor([0, 1, 1])), expected, atol=1e-6)
    old.load_state_dict(copy_weights(old, new.state_dict(), CLASSES, []).state)
    assert torch.allclose(old(z), expected, atol=1e-6)


def test_embeddings_follow_the_names_of_the_classes() -> None:
    old, new = discriminator(classes=2), discriminator(classes=3)
    state = copy_weights(new, old.state_dict(), CLASSES, ["sprite", "photograph", "poster"]).state
    columns, before = state["projection.embedding.weight"], old.state_dict()["projection.embedding.weight"]
    assert torch.equal(columns[:, [2, 0]], before) and torch.allclose(columns[:, 1], before.mean(1))
    rows = [r3gan.Generator((16, 16), width=8, latent_dim=8, group_width=4, classes=2) for _ in range(2)]
    state = copy_weights(rows[1], rows[0].state_dict(), CLASSES, CLASSES[::-1]).state
    assert torch.equal(state["embedding.weight"], rows[0].state_dict()["embedding.weight"].flip(0))


# ---- layers that keep their weights


def test_layers_are_counted_from_the_input() -> None:
    network = discriminator(32)
    assert layers(network) == ["from_image", "blocks.0", "blocks.1", "to_logit"]
    freeze(network, "discriminator", 2)
    frozen = {name.rsplit(".", 2)[0] for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {"from_image", "blocks.0"}


def test_layers_are_named() -> None:
    network = generator(32)
    freeze(network, "generator", "stem")
    freeze(network, "generator", ["stem", "blocks"])
    assert {name for name, p in network.named_parameters() if p.requires_grad} == {"to_image.weight"}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["stm"], "there is no layer stm; did you mean stem"),
        (9, "must be a number from 0 to 2, or names: stem, blocks.0, to_image"),
        (-1, "must be a number from 0 to 2"),
        (True, "give a number of layers, or a list of names"),
        ("stm", "there is no layer stm; did you mean stem"),
        (["stem", "blocks", "to_image"], "freezes all"),
    ],
)
def test_wrong_layers_are_one_line(given: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        freeze(generator(), "generator", given)  # type: ignore[arg-type]


# ---- models


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
