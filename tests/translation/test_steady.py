"""Frames of a video with `steady`: noise stays in place, and statistics of the whole image change slowly."""

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from gan.data.builtin.retro import draw
from gan.networks import lut, resnet_translator
from gan.translation.image_translator import ImageTranslator, parse_look
from gan.translation.translator import NetworkFunction


def translators(function: Any) -> tuple[ImageTranslator, ImageTranslator]:
    """Return the translator of frames without and with `steady`."""
    return ImageTranslator(function).for_frames(), ImageTranslator(function, steady=True).for_frames()


def scene() -> list[Image.Image]:
    """Return frames of a still photograph, of which a part is replaced in the second half."""
    first = draw(0, 2, 64, 80)
    second = first.copy()
    second[:24, :30] = 255 - second[:24, :30]
    return [Image.fromarray(first)] * 3 + [Image.fromarray(second)] * 3


def change(frames: list[np.ndarray], first: int, second: int) -> float:
    """Return the mean difference of two frames in levels, away from the part that is replaced."""
    return float(np.abs(frames[first][40:].astype(int) - frames[second][40:]).mean())


def frames_of(function: Any, frames: list[Image.Image]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    plain, steady = translators(function)
    return [np.asarray(plain(frame)) for frame in frames], [np.asarray(steady(frame)) for frame in frames]


def random(network: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, 0, 0.15 if parameter.dim() > 1 else 0.02)
    return network.eval()


def test_grain_stays_in_place() -> None:
    shifted = [Image.fromarray(draw(0, 2, 64, 80)), Image.fromarray(np.roll(draw(0, 2, 64, 80), 1, 1))]
    gray = [Image.new("RGB", (80, 64), (level, level, level)) for level in (120, 121)]
    plain, steady = frames_of(parse_look("look:grain"), gray)
    assert change(plain, 0, 1) > 5 and change(steady, 0, 1) < 1.5
    assert np.array_equal(plain[0], steady[0])
    network = resnet_translator.Generator(3, 4, 1, norm="none", residual=True, noise=True)
    plain, steady = frames_of(NetworkFunction(random(network), 3, None), gray)
    assert change(plain, 0, 1) > 3 * change(steady, 0, 1) and np.array_equal(plain[0], steady[0])
    assert change(frames_of(parse_look("look:fade"), shifted)[1], 0, 1) > 0  # only what is random is held


@pytest.mark.parametrize("name", ["lut", "instance norm", "tiles", "poster"])
def test_statistics_of_the_whole_image_change_slowly(name: str) -> None:
    function: Any = parse_look("look:poster")
    if name == "lut":
        network = lut.Generator(num_luts=3, lut_size=5)
        network.entries.data += 0.4 * torch.randn(network.entries.shape, generator=torch.Generator().manual_seed(0))
        nn.init.normal_(network.to_weights.weight, 0, 3.0)
        function = NetworkFunction(network.eval(), 3, None)
    elif name != "poster":
        network_with_norm = random(resnet_translator.Generator(3, 4, 1, norm="instance"))
        function = NetworkFunction(network_with_norm, 3, 48 if name == "tiles" else None)
    plain, steady = frames_of(function, scene())
    assert np.abs(plain[0].astype(int) - steady[0]).max() <= 1  # of the first frame, only the order of sums differs
    assert change(plain, 2, 3) > 0.1 and change(steady, 2, 3) < 0.5 * change(plain, 2, 3)
    assert change(steady, 0, 5) > change(steady, 0, 3) / 2  # the mean follows


def test_a_cut_and_another_file_start_again() -> None:
    network = lut.Generator(num_luts=3, lut_size=5)
    network.entries.data += 0.4 * torch.randn(network.entries.shape, generator=torch.Generator().manual_seed(0))
    nn.init.normal_(network.to_weights.weight, 0, 3.0)
    function = NetworkFunction(network.eval(), 3, None)
    light = Image.fromarray(255 - draw(0, 2, 64, 80) // 4)
    plain, steady = frames_of(function, [*scene()[:2], light])
    assert np.array_equal(plain[2], steady[2])  # not the mean with another scene
    translator = ImageTranslator(function, steady=True)
    assert np.array_equal(np.asarray(translator.for_frames()(light)), plain[2])
    assert translator.for_frames().video is not translator.for_frames().video
