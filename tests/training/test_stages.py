"""The choice of the stage of a translator: never worse than the closed form it starts from."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from gan.metrics.extractors import extractor, features
from gan.metrics.kid import KIDEstimate
from gan.networks.style import Generator
from gan.training.translation_view import STAGE_IMAGES, TranslationView, best_stage, fit_finish, stage_kids


def kids(files: int = 20, **stages: tuple[float, float]) -> dict[str, dict[str, KIDEstimate]]:
    """Return KIDs of stages whose differences to those of the color map have the error 2 in Lite0, and 1."""

    def estimate(value: float, error: float) -> KIDEstimate:
        spread = error * torch.tensor([1.0, -1.0]).repeat(files // 2) / (files - 1) ** 0.5
        return KIDEstimate(value, [spread, 0 * spread])

    errors = {stage: (2.0, 1.0) if stage != "color" else (0.0, 0.0) for stage in stages}
    return {
        stage: {
            name: estimate(*pair) for name, *pair in zip(("lite0", "random_conv"), values, errors[stage], strict=True)
        }
        for stage, values in stages.items()
    }


@pytest.mark.parametrize(
    ("found", "chosen"),
    [
        (kids(color=(100, 20), noise=(96, 20), network=(97, 20)), "color"),  # two errors are too little
        (kids(color=(100, 20), noise=(60, 20), network=(50, 20)), "network"),
        (kids(color=(100, 20), noise=(60, 20), network=(50, 27)), "noise"),  # the other features object
        (kids(color=(100, 20), noise=(60, 20), network=(50, 26.5)), "network"),  # above 25 by 1.5 errors
        (kids(color=(2, 0.1), noise=(1.2, 0.1), network=(-2, 0.1)), "color"),  # all are as near as real images
        (kids(color=(100, 0.1), noise=(10, 0.9), network=(200, 0.1)), "noise"),
    ],
)
def test_a_later_stage_must_be_better_in_one_network_and_not_worse_in_the_other(
    found: dict[str, dict[str, KIDEstimate]], chosen: str
) -> None:
    assert best_stage(found, 1, {}) == chosen


def patches(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 5, 5, generator=generator)
    return (255 * torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear")).to(torch.uint8)


def test_the_last_color_map_is_fitted_to_what_the_network_makes() -> None:
    network, inputs = Generator(width=4, carriers=2).eval(), patches(40, 0)
    network.texture.to_image.bias.data += 0.5  # the network makes images too bright
    targets = patches(40, 1)
    fit_finish(network, inputs, targets)
    with torch.inference_mode():
        means = {}
        for stage in ("color", "network", "finished"):
            network.set_stage(stage)
            means[stage] = float(network(inputs / 127.5 - 1).mean())
    assert means["network"] > means["color"] + 0.3
    assert means["finished"] == pytest.approx(float((targets / 127.5 - 1).mean()), abs=0.03)


def test_each_stage_is_scored() -> None:
    network, inputs = Generator(width=4, carriers=2).eval(), patches(20, 0)
    network.texture.to_image.bias.data += 0.8
    features_of = extractor("random_conv")
    found = stage_kids(network, inputs, {"random_conv": features(features_of, patches(20, 1))}, [features_of])
    assert list(found) == list(network.stages)
    assert found["network"]["random_conv"] > 10 * max(1, found["color"]["random_conv"])
    assert best_stage(found, 1, {}) == "color"


def test_few_files_and_many_choices_need_a_larger_difference() -> None:
    stages = {"color": (100.0, 20.0), "noise": (95.0, 20.0)}
    assert best_stage(kids(**stages), 1, {}) == "noise" and best_stage(kids(files=4, **stages), 1, {}) == "color"
    other = dict(enumerate(torch.eye(40)[:29], 1))  # of comparisons that do not correlate
    assert best_stage(kids(**stages), 200, {"noise": other}) == "color"
    assert best_stage(kids(**stages), 200, {"network": other}) == "noise"


@pytest.mark.parametrize("held_out", [True, False])
def test_held_out_images_choose_the_stage_or_training_images_if_there_are_none(held_out: bool, capsys: Any) -> None:
    logged, chosen_by = dict[str, float](), set[bool]()

    def images(n: int, of_held_out: bool = False) -> Tensor:
        if n == STAGE_IMAGES:
            chosen_by.add(of_held_out)
        return patches(8 if held_out or not of_held_out else 0, 0)[:n]

    def files(n: int, of_held_out: bool = False, side: str = "b") -> Tensor:
        return torch.arange(8) // 2

    data = SimpleNamespace(inputs=images, reals=images, files=files)
    view = TranslationView(SimpleNamespace(data=data, log_scalars=logged.update))
    view.stage_extractors = [extractor("random_conv")]
    network = Generator(width=4, carriers=2).eval()
    view.choose_stage(network, 1)
    assert chosen_by == {held_out}
    assert list(logged) == [f"stage/kid_x1000_random_conv_{stage}" for stage in network.stages]
    assert capsys.readouterr().out == f"stage: color is used, of {', '.join(network.stages)}\n"
