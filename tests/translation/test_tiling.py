"""Tiled translation is equal to that of the whole image, with the same size and limited memory."""

import pytest
import torch
from torch import Tensor, nn

from gan.images.convert import to_float, to_uint8
from gan.networks import enlarge, lut, resnet_translator, unet
from gan.translation.tiling import pad, split, translate
from tests.color_maps import give_start


def picture(height: int, width: int, channels: int = 3) -> Tensor:
    """Return a smooth image with some noise, whose statistics differ between tiles."""
    rows, columns = torch.linspace(0, 200, height)[:, None], torch.linspace(0, 50, width)
    noise = torch.rand(channels, height, width, generator=torch.Generator().manual_seed(0)) * 40
    return (rows + columns + noise).clamp(0, 255).to(torch.uint8)


def random(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.15) if parameter.dim() > 1 else nn.init.normal_(parameter, 0, 0.02)
    return give_start(network).eval()


NETWORKS = {
    "resnet": lambda: resnet_translator.Generator(3, 4, 2, norm="none", residual=True),
    "resnet, antialiased": lambda: resnet_translator.Generator(3, 4, 2, norm="none", antialias=True),
    "resnet, noise": lambda: resnet_translator.Generator(3, 4, 2, norm="none", residual=True, noise=True),
    "resnet, instance": lambda: resnet_translator.Generator(3, 4, 2),
    "resnet, instance, antialiased": lambda: resnet_translator.Generator(3, 4, 1, antialias=True),
    "resnet, batch": lambda: resnet_translator.Generator(3, 4, 2, norm="batch"),
    "enlarge": lambda: enlarge.Generator(3, 4, 8, 2),
    "lut": lambda: lut.Generator(lut_size=5),
    "unet": lambda: unet.Generator(3, 4, depth=4, norm="none", residual=True),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_agree_with_the_whole(name: str) -> None:
    network, seen = random(NETWORKS[name]()), picture(203, 310)
    whole, tiled = translate(network, seen), translate(network, seen, tile=64)
    assert whole.shape == tiled.shape == seen.shape and whole.float().std() > 2
    assert (whole.int() - tiled.int()).abs().max() <= 1


def test_without_statistics_of_the_whole_image_tiles_differ() -> None:
    """The test above can fail: tiles that are normalized separately differ from the whole image."""
    network, seen = random(NETWORKS["resnet, instance"]()), picture(203, 310)
    with torch.inference_mode():
        alone = to_uint8(network(to_float(seen[None, :, :64, :64])))[0]
    assert (translate(network, seen)[:, :32, :32].int() - alone[:, :32, :32].int()).abs().max() > 5


@pytest.mark.parametrize("size", [(1, 1), (257, 131), (1, 1000), (16, 16), (15, 33)])
@pytest.mark.parametrize("name", ["resnet", "lut", "unet"])
def test_translations_keep_the_size(name: str, size: tuple[int, int]) -> None:
    network = random(NETWORKS[name]())
    for tile in (None, 48):
        assert translate(network, picture(*size), tile).shape == (3, *size)


def test_the_vignette_of_an_image_does_not_depend_on_its_padding() -> None:
    network = give_start(unet.Generator(3, 4, depth=5, norm="none", residual=True)).eval()  # sides: multiples of 32
    gray = torch.full((3, 33, 70), 128, dtype=torch.uint8)
    translated = translate(network, gray)
    assert torch.equal(translated, translated.flip(1, 2)) and translated[0, 0, 0] < translated[0, 16, 35] - 30


def test_padding_repeats_the_border() -> None:
    seen = picture(5, 6)
    padded = pad(seen, 4)
    assert padded.shape == (3, 16, 16)
    assert torch.equal(padded[:, :5, :6], seen) and torch.equal(padded[:, 9, :6], seen[:, 4])
    assert torch.equal(padded[:, 12, 12], seen[:, 4, 5])


def test_cores_cover_the_image_once_and_tiles_stay_small() -> None:
    for height, width in ((64, 64), (1000, 1504)):
        count = torch.zeros(height, width)
        for part in split(height, width, 100, 13, 4):
            count[part.rows, part.columns] += 1
            seen = [each.stop - each.start for each in (part.input_rows, part.input_columns)]
            assert max(seen) <= 100 + 2 * 16
            assert all(each.start % 4 == 0 for each in (part.input_rows, part.input_columns))
        assert (count == 1).all()


def test_hooks_are_gone_afterwards() -> None:
    network, seen = random(NETWORKS["resnet, instance"]()), picture(64, 64)
    before = translate(network, seen)
    translate(network, picture(100, 100), tile=32)
    assert torch.equal(translate(network, seen), before)
