"""Projected GAN: its frozen backbone, and its discriminators, also the light one."""

import math

import pytest
import torch
from torch import Tensor, nn

from gan.networks import projected_light
from gan.networks.fastgan import Generator, NoiseInjection
from gan.networks.projected import Backbone, Discriminator, opaque
from gan.utils.errors import UserError


@pytest.mark.parametrize(
    ("size", "resolution", "resized"),
    [
        ((32, 32), None, (224, 224)),  # smaller images are enlarged to 224 pixels, larger ones keep their size
        ((256, 384), None, (256, 384)),
        ((96, 64), None, (320, 224)),
        ((64, 96), 64, (64, 96)),
    ],
)
def test_images_are_resized(size: tuple[int, int], resolution: int | None, resized: tuple[int, int]) -> None:
    assert Backbone(size, resolution).resized == resized


def test_transparent_images_show_a_checkerboard() -> None:
    clear = -torch.ones(1, 4, 32, 32)
    ground = opaque(clear)
    assert ground.shape == (1, 3, 32, 32) and ground.unique().numel() == 2 and ground.abs().max() <= 0.4001
    solid = torch.cat([torch.rand(1, 3, 32, 32) * 2 - 1, torch.ones(1, 1, 32, 32)], 1)
    torch.testing.assert_close(opaque(solid), solid[:, :3])
    half = torch.full((1, 4, 32, 32), 0.0)  # premultiplied white at half
    torch.testing.assert_close(opaque(half), 0.5 + 0.5 * ground)
    assert opaque(torch.rand(1, 1, 8, 8)).shape == (1, 3, 8, 8)


def numbers(shape: tuple[int, ...] | torch.Size, seed: int) -> Tensor:
    """Return pseudo-random float64 numbers in [-1, 1], the same on every machine."""
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    return (((index * 12.9898 + seed * 78.233).sin() * 43758.5453).remainder(1) * 2 - 1).reshape(shape)


@torch.no_grad()
def fill(network: nn.Module) -> None:
    """Set weights, statistics and singular vectors by a formula."""
    for seed, module in enumerate(network.modules()):
        if isinstance(module, NoiseInjection):
            module.gain.fill_(0.5)
        elif isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.running_var):
                values.copy_(1 + 0.3 * numbers(values.shape, seed))
            for values in (module.bias, module.running_mean):
                values.copy_(0.3 * numbers(values.shape, seed))
        elif isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            if module.bias is not None:
                module.bias.copy_(0.3 * numbers(module.bias.shape, seed + 1000))
            if hasattr(module, "parametrizations"):
                (norm,) = module.parametrizations.weight
                weight = module.parametrizations.weight.original
                weight.copy_(numbers(weight.shape, seed))
                norm._v.copy_(numbers(norm._v.shape, seed + 2000))
                for _ in range(3):
                    norm.train()(weight)  # one power iteration, which starts from v
                norm.eval()
            else:
                module.weight.copy_(numbers(module.weight.shape, seed))


def summary(x: Tensor) -> list[float]:
    """Return mean, standard deviation and three values, which depend on the order of the values."""
    flat = x.detach().flatten()
    return [float(y) for y in (flat.mean(), flat.std(), flat[1], flat[len(flat) // 3], flat[-2])]


# `summary` of outputs of github.com/autonomousvision/projected_gan, commit e1c246b, with the same weights and inputs.
OFFICIAL = {
    "projections": [
        [-898.669216, 16773.5332, -20706.1806, 15142.6487, 24854.0654],
        [-202.608681, 3805.06581, -4170.76166, -5186.10292, -2207.80421],
        [17.0974454, 603.374569, 625.088803, 449.13664, -902.878353],
        [5.01165755, 67.8337108, -30.8427036, 56.4892211, 49.0426116],
    ],
    "logits": [
        [0.0533208124, 0.0317524013, 0.0757731507, 0.0308684741, 0.0308684741],
        [0.0326732399, 0.0642742464, 0.0781219954, -0.0127755156, -0.0127755156],
        [-0.213998111, 0.147872256, -0.318559586, -0.109436636, -0.109436636],
        [-0.04802844, 0.0456102708, -0.0157771082, -0.0802797718, -0.0802797718],
    ],
    "image": [
        [0.0697321418, 0.173365602, 0.0101233469, -0.0396052593, -0.121701089],
    ],
}


def test_the_discriminator_is_the_official_one() -> None:
    network = Discriminator((256, 256)).double().eval()
    for part in (network.across_channels, network.across_scales, network.heads):
        fill(part)
    network.backbone = nn.Identity()
    maps = [numbers((2, channels, 8 >> i, 16 >> i), i) for i, channels in enumerate((24, 40, 112, 320))]
    projections = [summary(y) for y in network.features(maps)]
    assert projections == [pytest.approx(y, rel=1e-6) for y in OFFICIAL["projections"]]
    inputs = [numbers((1, channels, 80 >> i, 64 >> i), i) for i, channels in enumerate((64, 64, 128, 256))]
    logits = [summary(head(x)) for head, x in zip(network.heads, inputs, strict=True)]
    assert logits == [pytest.approx(y, rel=1e-6) for y in OFFICIAL["logits"]]


def test_the_generator_is_the_official_one(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Generator((256, 256), width=8, double_interval=1, tanh=False).double().eval()
    fill(network)
    for module in network.modules():
        if isinstance(module, NoiseInjection):
            module.train()  # add noise; BatchNorm stays in eval mode
    monkeypatch.setattr(torch, "randn", lambda *shape, **options: numbers(shape, 5))
    assert summary(network(numbers((2, 256), 1))) == pytest.approx(OFFICIAL["image"][0], rel=1e-6)


def test_only_the_heads_are_trained_and_images_have_gradients() -> None:
    torch.manual_seed(0)
    network = Discriminator((16, 16), width=4, backbone_resolution=64)
    x = (torch.rand(2, 3, 16, 16) * 2 - 1).requires_grad_()
    sum(logits.square().mean() for logits in network(x)).backward()
    learning = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert learning == {"heads"}
    assert all(p.grad is not None for p in network.heads.parameters())
    assert x.grad is not None and x.grad.abs().sum(1).gt(0).float().mean() > 0.9


def test_the_light_discriminator_has_four_scales_at_every_size() -> None:
    torch.manual_seed(0)
    network = projected_light.Discriminator((16, 16), width=8, backbone_resolution=64)
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    assert [y.shape[-1] for y in network.features(x)] == [16, 8, 4, 2]
    assert [tuple(logits.shape) for logits in network(x)] == [(2, 1, side, side) for side in (5, 5, 1, 1)]
    wide = projected_light.Discriminator((64, 96), width=8, backbone_resolution=64)
    assert wide.backbone.resized == (64, 96) and len(wide(torch.rand(1, 3, 64, 96))) == 4
    with pytest.raises(UserError, match="multiple of 32"):
        projected_light.Discriminator((64, 64), backbone_resolution=100)
