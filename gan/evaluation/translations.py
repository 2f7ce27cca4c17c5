"""Evaluate a translator in comparison with the unchanged input and closed-form color maps.

A good translation is near the ground truth if that is known, is near the target style and far from its input, and
keeps the content. No single number measures this. Compare each number with the baselines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan.data.translation import has_held_out, images_for_color_maps
from gan.evaluation.registry import Row
from gan.images.convert import to_float, to_uint8
from gan.metrics.kid import KID_SCALE, squared_mmd
from gan.metrics.pairs import content_preservation, ground_truth_scores
from gan.metrics.perceptual import PerceptualDistance
from gan.networks.closed_form.choose import choose
from gan.networks.closed_form.color_map import ColorMap
from gan.networks.closed_form.fit import CHUNK, draw_pixels, fit_kinds, visible, with_position
from gan.networks.tile_position import TilePosition
from gan.translation.tiling import set_shows_patches, translate_each


class Translations(NamedTuple):
    """The images of one evaluation, uint8 (N, C, H, W)."""

    inputs: Tensor  # images to translate
    outputs: Tensor  # their translations
    truths: Tensor | None  # the ground truth, or None
    target: Tensor  # real images of the target style with other content
    reference: Tensor  # for comparing fine detail: the ground truth with grain, or `target` if there is none
    sources: Tensor  # training images of the input domain, for fitting color maps
    targets: Tensor  # training images of the target domain, for fitting color maps
    stages: dict[str, Tensor]  # translations of the inputs by each stage of the network; empty if it has none
    patches: bool = False  # whether `inputs` are patches of files, at unknown positions


def evaluate(images: Translations, features: Callable[[Tensor], Tensor]) -> list[Row]:
    """Return all rows of the table. The first are those of the translator and of its stages.

    `features` maps uint8 (N, C, H, W) to (N, D), for the KID to the target and to the inputs.
    """
    target, inputs = features(images.target), features(images.inputs)
    perceptual = PerceptualDistance()
    rows = []
    for name, outputs in candidates(images):
        unchanged = outputs is images.inputs
        found = inputs if unchanged else features(outputs)
        values = {"kid_target_x1000": KID_SCALE * squared_mmd(target, found)} | (
            {} if unchanged else {"kid_source_x1000": KID_SCALE * squared_mmd(inputs, found, matched=True)}
        )
        values |= content_preservation(images.inputs, outputs)
        if images.truths is not None:
            values |= ground_truth_scores(images.inputs, outputs, images.truths)
            values["perceptual"] = float(perceptual(outputs, images.truths).mean())
        rows.append(Row(name, len(outputs), len(target), values))
    return rows


def candidates(images: Translations) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and outputs of each row."""
    yield "translated", images.outputs
    yield from images.stages.items()
    yield "input unchanged", images.inputs
    for name, change in color_maps(images):
        yield name, recolored(change, images.inputs, images.patches)
    if images.truths is not None and not torch.equal(images.truths, images.reference):
        yield "truth with grain", images.reference  # the best possible if grain cannot be predicted
    if images.truths is not None:
        yield "truth of another", images.truths.roll(1, 0)  # the right style with the wrong content


def color_maps(images: Translations) -> Iterator[tuple[str, ColorMap]]:
    """Yield the name and color map of each kind, and of the one that a run starts from; none if no pixel is visible."""
    sources, targets = visible(images.sources), visible(images.targets)
    if not len(sources) or not len(targets):
        return
    chosen = choose(sources, targets)
    a, b = draw_pixels(sources, 0), draw_pixels(targets, 1)
    for kind, change in fit_kinds(a.levels, b.levels).items():
        yield kind, with_position(change, a, b, None)
    yield ", ".join(["chosen: " + chosen.kind, *filter(None, [chosen.position])]), chosen.color_map


@torch.inference_mode()
def recolored(change: ColorMap, images: Tensor, patches: bool) -> Tensor:
    """Return images uint8 (N, C, H, W) after a color map; alpha stays. `patches`: as in `ColorMap.shows_patches`."""
    change.shows_patches = patches
    place = TilePosition.whole(images)
    return torch.cat([to_uint8(change.of_images(to_float(part), place)) for part in images.split(CHUNK)])


def translate_all(network: Any, data: Any, n: int) -> Translations:
    """Translate n held-out images of a DataModule; training images if there are none."""
    held_out = has_held_out(data)
    set_shows_patches((network,), data)
    inputs, truths = data.inputs(n, held_out), data.ground_truth(n, held_out)
    target = data.reals(n, True)
    target = target if len(target) > 1 else data.reals(n)
    outputs = translate_each(network, inputs)
    return Translations(
        inputs,
        outputs,
        None if truths is None else data.predictable_ground_truth(n, held_out),
        target,
        target if truths is None else truths,
        *images_for_color_maps(data),
        by_stage(network, inputs, outputs),
        data.shows_patches,
    )


def by_stage(network: Any, inputs: Tensor, outputs: Tensor) -> dict[str, Tensor]:
    """Return the translations of each stage of a network by name, if it has any. The present one has `outputs`."""
    if not hasattr(network, "set_stage"):
        return {}
    chosen, found = network.stage, {}
    for stage in network.stages:
        network.set_stage(stage)
        found[f"stage {stage}"] = outputs if stage == chosen else translate_each(network, inputs)
    network.set_stage(chosen)
    return found
