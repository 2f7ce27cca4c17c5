"""Starting from another model: which are refused, which weights are kept, and which layers are frozen."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from gan.networks import dcgan, fastgan, r3gan, resnet, stylegan2, tutorial
from gan.networks.layers import with_mean_class
from gan.training.base import freeze, layers
from gan.training.initial_weights import copy_weights, counted_from_the_last, start_from
from gan.utils.errors import UserError
from tests.recipes import build
from tests.security.checkpoints import DCGAN, STYLEGAN2, checkpoint


def save(path: Path, state: dict[str, Any]) -> Path:
    torch.save(state, path)
    return path


def of_dcgan() -> Any:
    """Return a small DCGAN, whose configuration names its generator."""
    module, _ = build("dcgan", *DCGAN)
    module.config = {"model": {"generator": {"_target_": "gan.networks.dcgan.Generator"}}}
    return module


def test_a_generator_of_another_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"its generator has another class; .* or init_from=null"):
        start_from(of_dcgan(), save(tmp_path / "b.ckpt", checkpoint(STYLEGAN2)))


def test_layers_of_another_meaning_are_refused(tmp_path: Path) -> None:
    state = checkpoint(DCGAN)
    state["config"]["model"]["generator"]["upsampling"] = "nearest"
    with pytest.raises(UserError, match=r"upsampling=transposed: init_from=.* has nearest; set model\.generator\.ups"):
        start_from(of_dcgan(), save(tmp_path / "a.ckpt", state))


def test_weights_of_equal_names_keep_the_common_slice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    module, _ = build("dcgan", *DCGAN, "data.channels=4", "model.generator.width=8")
    module.config = {"model": checkpoint(DCGAN)["config"]["model"]}
    state = checkpoint(DCGAN)
    new = {name: value.clone() for name, value in module.discriminator.state_dict().items()}
    module.frozen = {"discriminator": ["from_image"]}
    start_from(module, save(tmp_path / "a.ckpt", state))
    weight, name = module.discriminator.state_dict()["from_image.0.weight"], "from_image.0.weight"
    assert torch.equal(weight[:, :3], state["state_dict"][f"discriminator.{name}"])
    assert torch.equal(weight[:, 3:], new[name][:, 3:])
    said = capsys.readouterr().out
    assert "; cut or extended: from_image" in said and "freeze.discriminator: from_image\n" in said
    assert not copy_weights(module.generator, module.generator.state_dict()).resized


def test_weights_of_another_smallest_grid_are_interpolated() -> None:
    ramp = torch.arange(4.0)[:, None].expand(2, 8, 4, 4)
    grid = nn.ConvTranspose2d(2, 8, (6, 4), bias=False)
    copied = copy_weights(grid, {"weight": ramp})
    rows = copied.state["weight"][0, 0, :, 0]
    assert copied.resized == ["weight"] and rows[0] == 0 and rows[-1] == 3 and bool((rows.diff() > 0).all())
    assert torch.allclose(copied.state["weight"], rows[:, None].expand(2, 8, 6, 4))


def test_a_generator_alone_starts_with_an_untrained_discriminator(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, state = of_dcgan(), checkpoint(DCGAN)
    before = {name: value.clone() for name, value in new.discriminator.state_dict().items()}
    weights = {name: value for name, value in state["state_dict"].items() if name.startswith("ema.module.")}
    start_from(new, save(tmp_path / "a.ckpt", {**state, "state_dict": weights}))
    assert "has no such discriminator; training starts with an untrained one" in capsys.readouterr().out
    assert all(torch.equal(value, before[name]) for name, value in new.discriminator.state_dict().items())
    for network in (new.generator, new.ema.module):
        assert all(torch.equal(value, weights[f"ema.module.{name}"]) for name, value in network.state_dict().items())
    new.frozen = {"discriminator": ["from_image"]}
    with pytest.raises(
        UserError, match=r"freeze\.discriminator: .*a\.ckpt has no such discriminator; set freeze\.discriminator=0"
    ):
        start_from(new, tmp_path / "a.ckpt")


def test_layers_are_counted_from_the_input() -> None:
    network = dcgan.Discriminator((32, 32), width=4)
    assert layers(network) == ["from_image", "blocks.0", "blocks.1", "to_logit"]
    freeze(network, "discriminator", 2)
    frozen = {name.rsplit(".", 2)[0] for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {"from_image", "blocks.0"}


@pytest.mark.parametrize("number", [9, -1, True, "stem"])
def test_wrong_numbers_are_refused(number: object) -> None:
    with pytest.raises(UserError, match=f"freeze.generator={number}: must be "):
        freeze(dcgan.Generator((16, 16), width=4, latent_dim=8), "generator", number)


@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("kind", [dcgan.Discriminator, resnet.Discriminator])
def test_with_other_classes_a_discriminator_starts_from_the_mean_of_the_classes(kind: Any, classes: int) -> None:
    torch.manual_seed(0)
    theirs, ours = (kind((16, 16), width=4, norm="none", classes=number).eval() for number in (2, classes))
    x, label = torch.randn(3, 3, 16, 16), torch.tensor([0, 1, 2]) if classes else None
    copied = copy_weights(ours, with_mean_class(theirs.state_dict(), ours))
    ours.load_state_dict(copied.state)
    assert not copied.new
    expected = sum(theirs(x, torch.full((3,), number)) for number in (0, 1)) / 2
    torch.testing.assert_close(ours(x, label), expected)


@pytest.mark.parametrize("classes", [0, 3])
def test_with_other_classes_a_generator_starts_from_the_mean_of_the_classes(classes: int) -> None:
    torch.manual_seed(0)
    theirs = dcgan.Generator((16, 16), width=4, latent_dim=8, classes=2).eval()
    z, label = torch.randn(2, 8), torch.tensor([0, 1])
    for name, weight in theirs.named_parameters():
        if name.endswith((".scale", ".shift")):
            torch.nn.init.normal_(weight)
    ours = dcgan.Generator((16, 16), width=4, latent_dim=8, classes=classes).eval()
    copied = copy_weights(ours, with_mean_class(theirs.state_dict(), ours))
    ours.load_state_dict(copied.state)
    assert not copied.new
    for name, weight in theirs.named_parameters():
        if name.endswith((".scale", ".shift")):
            weight.data[:] = weight.data.mean(0)
    torch.testing.assert_close(ours(z, label), theirs(z, label))


def test_each_class_starts_from_a_generator_without_classes() -> None:
    theirs, ours = (dcgan.Generator((16, 16), width=4, latent_dim=8, classes=number).eval() for number in (0, 3))
    copied = copy_weights(ours, with_mean_class(theirs.state_dict(), ours))
    ours.load_state_dict(copied.state)
    z = torch.randn(3, 8)
    assert not copied.new
    torch.testing.assert_close(ours(z, torch.tensor([0, 1, 2])), theirs(z))


@pytest.mark.parametrize(
    "network", [stylegan2.Generator, stylegan2.Discriminator, r3gan.Generator, r3gan.Discriminator]
)
def test_each_embedding_is_the_mean_of_those_of_other_classes(network: Any) -> None:
    theirs, ours = (network((16, 16), width=16, classes=number) for number in (2, 3))
    (name,) = [name for name, _ in ours.named_parameters() if name.endswith("embedding.weight")]
    axis = theirs.state_dict()[name].shape.index(2)
    found = with_mean_class(theirs.state_dict(), ours)[name]
    expected = theirs.state_dict()[name].mean(axis, keepdim=True).expand(ours.state_dict()[name].shape)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize(("before", "after"), [(32, 64), (64, 32)])
@pytest.mark.parametrize(
    ("network", "options"),
    [
        (dcgan.Discriminator, {"width": 8, "max_multiple": 1}),
        (resnet.Discriminator, {"width": 8, "max_multiple": 1}),
        (tutorial.Discriminator, {"width": 8}),
        (stylegan2.Discriminator, {"width": 8, "max_channels": 8}),
        (r3gan.Discriminator, {"width": 16}),
        (fastgan.Discriminator, {"width": 8}),
    ],
)
def test_layers_of_discriminators_keep_their_grid_at_another_size(
    network: Any, options: dict[str, int], before: int, after: int
) -> None:
    theirs, ours = (network((size, size), **options).eval() for size in (before, after))
    copied = copy_weights(ours, counted_from_the_last(theirs.state_dict(), ours))
    ours.load_state_dict(copied.state)
    their_blocks, our_blocks = (list(getattr(model, "blocks", None) or model.stages) for model in (theirs, ours))
    shared = min(len(their_blocks), len(our_blocks)) - 1  # the first block of a network may be another one
    for their_block, our_block in zip(their_blocks[-shared:], our_blocks[-shared:], strict=True):
        for name, value in their_block.named_parameters():
            new = our_block.get_parameter(name)
            common = tuple(slice(min(sides)) for sides in zip(value.shape, new.shape, strict=True))
            assert torch.equal(value[common], new[common]), name
    if network is r3gan.Discriminator:  # all stages but the first begin with a transition
        assert torch.equal(their_blocks[-shared - 1][-1].expand.bias, our_blocks[-shared - 1][-1].expand.bias)
    assert (before < after) == any(name.startswith(("blocks.", "stages.")) for name in copied.new)


def test_a_new_layer_of_a_larger_image_cannot_be_frozen(tmp_path: Path) -> None:
    module, _ = build("dcgan", *DCGAN, "data.size=32")
    module.config = {"model": checkpoint(DCGAN)["config"]["model"]}
    module.frozen = {"discriminator": ["from_image", "blocks.0"]}
    with pytest.raises(UserError, match=r"freeze\.discriminator: blocks\.0 is new and must be trained"):
        start_from(module, save(tmp_path / "a.ckpt", checkpoint(DCGAN)))
