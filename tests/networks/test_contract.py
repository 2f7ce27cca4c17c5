"""What every network must do: every size, any number of channels, and images that do not depend on each other.

A network file and a recipe in conf/model that uses it are enough to be tested here.
"""

import functools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hydra.utils import get_class
from omegaconf import OmegaConf
from torch import Tensor, nn

from gan.losses.heads import per_image
from tests.parts import classes_of
from tests.recipes import RECIPES, TRANSLATORS, configuration

# Options of recipes that are not among the recipes themselves.
VARIANTS = {
    "dcgan-paper": (
        "dcgan",
        "model.generator.full_size_channels=0",
        "model.generator.max_multiple=8",
        "model.discriminator.max_multiple=8",
        "model.discriminator.norm=batch",
        "model.discriminator.mbstd_group_size=1",
    ),
    "dcgan-nearest": ("dcgan", "model.generator.upsampling=nearest"),
    "dcgan-full-size": ("dcgan", "model.discriminator.full_size_channels=2"),
    "dcgan-spectral": ("dcgan", "model.discriminator.norm=spectral"),
    "stylegan2-mbstd": ("stylegan2", "model.discriminator.mbstd_group_size=1"),
}
NOISE = [name for name in [*RECIPES, *VARIANTS] if name not in TRANSLATORS]
SIZES = [(16, 16), (24, 24), (48, 48), (24, 64), (80, 112)]
SLOW_SIZES = [(32, 32), (64, 96), (256, 256)]


def partial(options: dict[str, Any]) -> Callable[..., nn.Module]:
    """Return the class and options of a network, except size, channels and classes; for two directions, the first."""
    options = options.get("a2b", options)
    left_out = ("_target_", "size", "channels", "classes")
    kept = {name: value for name, value in options.items() if name not in left_out}
    return functools.partial(get_class(options["_target_"]), **kept)


@functools.cache
def networks(name: str) -> tuple[Any, Any]:
    """Return the tiny generator and discriminator of a recipe or variant, as functions of size and channels."""
    recipe, *options = VARIANTS.get(name, (name,))
    model = configuration(recipe, *options).model
    generator, discriminator = (
        OmegaConf.to_container(each, resolve=True) for each in (model.generator, model.discriminator)
    )
    return partial(generator), partial(discriminator)


@functools.cache
def distinct() -> dict[Any, str]:
    """Return one name for each pair of networks: several recipes share theirs."""
    found: dict[Any, str] = {}
    for name in NOISE:
        found.setdefault(tuple((each.func, str(each.keywords)) for each in networks(name)), name)
    return found


def pair(name: str, size: tuple[int, int], channels: int = 3, **more: Any) -> tuple[Any, Any]:
    if name not in distinct().values():
        pytest.skip("another recipe has the same networks")
    generator, discriminator = networks(name)
    return generator(size, channels, **more), discriminator(size, channels, **more)


def generated(generator: Any, n: int) -> Tensor:
    images: Tensor = generator(torch.randn(n, generator.latent_dim))
    return images


def test_every_network_is_in_a_recipe() -> None:
    used = {each.func for name in RECIPES for each in networks(name)}
    files = [each for each in classes_of("gan.networks", "forward") if each.__name__ in ("Generator", "Discriminator")]
    assert set(files) == used


@pytest.mark.parametrize(
    ("size", "channels"),
    [
        *((size, 3) for size in SIZES),
        ((16, 24), 1),
        ((16, 24), 4),
        *(pytest.param(size, 3, marks=pytest.mark.slow) for size in SLOW_SIZES),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", NOISE)
def test_every_size_and_number_of_channels(name: str, size: tuple[int, int], channels: int) -> None:
    generator, discriminator = pair(name, size, channels)
    images = generated(generator, 2)
    assert images.shape == (2, channels, *size)
    logits = per_image(discriminator(images))
    assert logits.shape == (2,) and logits.requires_grad


@pytest.mark.parametrize("name", NOISE)
def test_in_eval_mode_images_do_not_depend_on_each_other(name: str) -> None:
    generator, discriminator = (network.eval() for network in pair(name, (16, 16)))
    z = torch.randn(4, generator.latent_dim)
    images = generator(z)
    torch.testing.assert_close(generator(z[:2]), images[:2])
    if getattr(discriminator, "mbstd_group_size", 1) == 1:
        logits = per_image(discriminator(images))
        torch.testing.assert_close(logits[:2], per_image(discriminator(images[:2])))


@pytest.mark.parametrize("name", NOISE)
def test_every_trained_parameter_gets_a_gradient(name: str) -> None:
    generator, discriminator = pair(name, (32, 48))
    images = generated(generator, 4)
    features = discriminator.features(images)
    assert len(features) >= 3 and all(each.ndim == 4 and len(each) == 4 for each in features)
    auxiliary = discriminator.auxiliary(images).values() if hasattr(discriminator, "auxiliary") else []
    (per_image(discriminator(images)).sum() + images.square().mean() + sum(auxiliary)).backward()
    parameters = [each for network in (generator, discriminator) for each in network.named_parameters()]
    assert [name for name, p in parameters if p.requires_grad and p.grad is None] == []


@pytest.mark.parametrize("name", NOISE)
def test_what_generators_offer(name: str) -> None:
    generator, _ = pair(name, (32, 48))
    weights = generator.latent_weights()
    assert weights and all(each.ndim == 2 and each.shape[1] == generator.latent_dim for each in weights)
    sizes: dict[int, tuple[int, int]] = {}  # of the last feature map of each layer

    def hook(index: int, module: nn.Module, arguments: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim == 4:
            sizes[index] = output.shape[2], output.shape[3]

    for index, layer in enumerate(generator.synthesis_layers):
        for module in layer.modules():  # the parent of a Sequential may call its layers itself
            module.register_forward_hook(functools.partial(hook, index))
    generated(generator, 2)
    found = [sizes[index] for index in range(len(generator.synthesis_layers))]
    assert len(found) >= 2 and found == sorted(found) and found[0][0] <= 16 and found[-1] == (32, 48)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("name", TRANSLATORS)
def test_translators(name: str, channels: int) -> None:
    generator, discriminator = networks(name)
    generator = generator(channels=channels)
    condition = {"condition_channels": channels} if "condition_channels" in discriminator.keywords else {}
    critic = discriminator(channels=channels, **condition)
    side = max(32, generator.multiple)
    x = torch.rand(2, channels, side, side + generator.multiple) * 2 - 1
    y = generator(x)
    assert y.shape == x.shape
    assert generator.bytes_per_pixel > 0 and (generator.receptive_radius is None or generator.receptive_radius >= 0)
    assert critic.min_size <= 32
    logits = per_image(critic(torch.cat([x, y], 1) if condition else y))
    assert logits.shape == (2,)
    logits.sum().backward()
    assert all(p.grad is not None for p in critic.parameters())
    assert any(p.grad is not None and p.grad.isfinite().all() for p in generator.parameters())
