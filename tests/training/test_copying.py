"""Copying weights between networks: what fits is kept, across size, channels, classes and width; the rest is new."""

from __future__ import annotations

import pytest
import torch

from gan.networks import dcgan, r3gan, resnet, stylegan2
from gan.training.copying import copy_weights, of_classes
from gan.training.start import describe

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
