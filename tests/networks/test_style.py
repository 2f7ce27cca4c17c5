"""The style translator: contracts of translators, stages, tiles, alpha and gray images."""

import pytest
import torch
from torch import Tensor, nn

from gan.networks.closed_form.inks import SETTINGS
from gan.networks.style import STAGES, Discriminator, Generator
from gan.networks.tile_position import TilePosition, noise_planes
from gan.translation.tiling import translate


def generator(channels: int = 3, inks: int = 0) -> Generator:
    """Return a generator whose parts all change the image; with inks it draws lines."""
    torch.manual_seed(0)
    made = Generator(channels, width=4, carriers=2, grain=True)
    nn.init.normal_(made.shaped_noise.kernel, 0, 0.003)
    nn.init.normal_(made.texture.to_image.weight, 0, 0.1)
    made.texture.set_carriers(torch.tensor([[0.2, 0.05], [0.05, -0.2]]))
    lines = made.texture.flow_lines
    lines.preferred.copy_(torch.tensor([0.01, 0.02]))
    lines.set_frequency(0.3)
    made.texture.inks.palette.copy_(torch.linspace(-0.9, 0.8, 8)[:, None].expand(8, 3))
    settings = dict.fromkeys(SETTINGS, 0.5) | {"hatching": 50.0, "blank": 0.1}
    made.texture.inks.set_settings(settings, inks)
    uneven = made.texture.inks.uneven
    nn.init.normal_(uneven.kernel, 0, 0.05)
    nn.init.normal_(uneven.curve, 0, 0.1)
    uneven.direction.fill_(0.5)
    return made.eval()


def picture(channels: int, height: int, width: int) -> Tensor:
    x = torch.randint(0, 256, (channels, height, width), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    if channels == 4:
        x[:3] = x[:3] * (x[3:] / 255)
    return x


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_initially_it_is_the_identity(channels: int) -> None:
    image = picture(channels, 24, 31)
    difference = translate(Generator(channels, width=4).eval(), image).int() - image.int()
    assert difference.abs().max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "inks"), [(1, 0), (3, 0), (4, 0), (4, 2)])
def test_tiles_agree_with_the_whole_image(channels: int, inks: int) -> None:
    image, network = picture(channels, 40, 200), generator(channels, inks)
    whole, tiled = translate(network, image), translate(network, image, tile=64)
    assert (whole.int() - tiled.int()).abs().max() <= 1
    assert (whole.int() - image.int()).abs().float().mean() > 2
    if channels == 4:
        assert torch.equal(whole[3], image[3]) and (whole[:3] <= whole[3:]).all()


def test_a_stage_leaves_out_the_later_parts_and_is_saved() -> None:
    image, network = picture(3, 40, 40), generator()
    found = {}
    for stage in STAGES:
        network.set_stage(stage)
        copy = Generator(width=4, carriers=2).eval()
        copy.load_state_dict(network.state_dict())
        assert copy.stage == stage
        found[stage] = translate(copy, image)
    assert (found["color"].int() - image.int()).abs().max() <= 1
    assert torch.equal(found["network"], found["finished"])  # its color map is the identity
    assert not torch.equal(found["noise"], found["color"]) and not torch.equal(found["noise"], found["network"])


def test_noise_can_be_an_input_whose_planes_depend_on_the_stage() -> None:
    x, network = torch.zeros(2, 3, 20, 30), generator()
    expected = {"color": [], "noise": [1, 2, 3], "drawing": [], "network": [0, 1, 2, 3], "finished": [0, 1, 2, 3]}
    for stage in STAGES:
        network.set_stage(stage)
        assert list(network.noise_numbers) == expected[stage]
        if network.noise_numbers:
            given = noise_planes(TilePosition.whole(x), 20, 30, network.noise_numbers, network.noise_margin)
            assert torch.equal(network(x, noise=given), network(x))
            assert not torch.equal(network(x, noise=given.flip(2)), network(x))
    network.set_stage("network", False)
    assert list(network.noise_numbers) == [0]
    network = generator(inks=2)
    network.set_stage("drawing")
    assert list(network.noise_numbers) == [0]


def test_with_inks_the_network_changes_a_drawing() -> None:
    image, network = picture(3, 40, 40), generator(inks=2)
    found = {}
    for stage in network.stages:
        network.set_stage(stage)
        found[stage] = translate(network, image)
    assert list(found) == list(STAGES)
    assert len(found["drawing"].flatten(1).unique(dim=1).T) < len(found["color"].flatten(1).unique(dim=1).T)
    assert not torch.equal(found["drawing"], found["network"])


@pytest.mark.parametrize("inks", [0, 2])
def test_training_in_bf16(inks: int) -> None:
    network = generator(inks=inks).train()
    with torch.autocast("cpu", torch.bfloat16):
        y = network(picture(3, 32, 32)[None] / 127.5 - 1)
    y.float().square().mean().backward()
    assert y.isfinite().all() and network.texture.to_image.weight.grad.abs().sum() > 0


def test_noise_and_phases_are_random_only_in_training() -> None:
    x, network = torch.zeros(2, 3, 30, 30), generator()
    assert torch.equal(network(x), network(x))
    network.train()
    first, second = network(x), network(x)
    assert not torch.equal(first, second) and not torch.equal(first[0], first[1])


def test_windows_with_transparent_pixels_do_not_count_in_the_fit() -> None:
    network = Generator(4, width=4)
    patches = torch.full((8, 4, 32, 32), 255, dtype=torch.uint8)
    patches[:, :3] = torch.randint(0, 256, (8, 3, 32, 32))
    transparent = patches * 0
    before = {name: value.clone() for name, value in network.state_dict().items()}
    network.fit(patches, transparent)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.fit(patches // 2 + torch.tensor([0, 0, 0, 128], dtype=torch.uint8)[:, None, None], patches)
    assert network.shaped_noise.kernel.abs().max() > 0


@pytest.mark.parametrize("better", ["color", "noise"])
def test_the_network_adds_to_grain_if_grain_is_nearer_to_the_targets(better: str) -> None:
    generator = torch.Generator().manual_seed(0)
    inputs, targets = (torch.randint(0, 256, (120, 3, 32, 32), generator=generator).byte() for _ in range(2))
    network = Generator(width=4)
    # The color map is the identity.
    network.fit(inputs, targets, lambda made: float(torch.equal(made, inputs) == (better == "noise")))
    assert network.adds_to_grain == (better == "noise")
    assert network.stage == "network" and network.training


def test_the_discriminator_sees_detail_only() -> None:
    torch.manual_seed(0)
    network, x = Discriminator(width=4), torch.rand(1, 3, 40, 40)
    assert torch.allclose(network(x), network(x + 0.7), atol=1e-5)
    assert not torch.allclose(Discriminator(width=4, sigma=0)(x), Discriminator(width=4, sigma=0)(x + 0.7), atol=1e-3)
    assert network(x[..., :22, :22]).shape == (1, 1, 1)  # one patch
