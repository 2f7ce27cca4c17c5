"""Evaluate a translator in comparison with the unchanged input and closed-form color transfers.

A good translation is near the ground truth if that is known, is near the target style and far from its input, and
keeps the content. No single number measures this. Compare each number with the baselines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan.data.decoding.color import unpremultiply
from gan.evaluation.generator import Row
from gan.inference.tiling import tell_windows, translate_each
from gan.metrics.color_transfer import CLOSED_FORMS, opaque
from gan.metrics.kid import KID_SCALE, squared_mmd
from gan.metrics.perceptual import PerceptualDistance
from gan.metrics.pretrained import MissingWeights
from gan.metrics.spectrum import spectral_distance
from gan.metrics.translation import content_preservation, ground_truth_scores


class Translations(NamedTuple):
    """The images of one evaluation, uint8 (N, C, H, W).

    Attributes:
        inputs: images to translate.
        outputs: their translations.
        truths: the ground truth, or None.
        target: real images of the target style with other content.
        reference: images for comparing fine detail: the ground truth with grain, or `target` if there is none.
        sources: training images of the input domain, for fitting closed forms.
        targets: training images of the target domain, for fitting closed forms.
        baselines: translations of the inputs by other networks, by name.
    """

    inputs: Tensor
    outputs: Tensor
    truths: Tensor | None
    target: Tensor
    reference: Tensor
    sources: Tensor
    targets: Tensor
    baselines: dict[str, Tensor]


def evaluate(images: Translations, features: Callable[[Tensor], Tensor]) -> list[Row]:
    """Return all rows of the table. The first are those of the translator and of other translators.

    Args:
        features: function that maps uint8 (N, C, H, W) to (N, D), for the KID to the target and to the inputs.
    """
    target, inputs = features(images.target), features(images.inputs)
    perceptual = perceptual_distance() if images.truths is not None else None
    rows = []
    for name, outputs in candidates(images):
        unchanged = outputs is images.inputs
        found = inputs if unchanged else features(outputs)
        values = {"kid_target_x1000": KID_SCALE * squared_mmd(target, found)} | (
            {} if unchanged else {"kid_source_x1000": KID_SCALE * squared_mmd(inputs, found, matched=True)}
        )
        values |= content_preservation(images.inputs, outputs) | {
            "spectrum": spectral_distance(images.reference, outputs)
        }
        if images.truths is not None:
            values |= ground_truth_scores(images.inputs, outputs, images.truths)
            if perceptual:
                values["perceptual"] = float(perceptual(outputs, images.truths).mean())
        rows.append(Row(name, len(outputs), len(target), values))
    return rows


def perceptual_distance() -> PerceptualDistance | None:
    """Return the perceptual distance; print a note and return None if its weights are missing."""
    try:
        return PerceptualDistance()
    except MissingWeights as error:
        print(f"no perceptual distance: {error}")
        return None


def candidates(images: Translations) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and outputs of each row."""
    yield "translated", images.outputs
    yield from images.baselines.items()
    yield "input unchanged", images.inputs
    for name, fit in CLOSED_FORMS.items():
        yield name, recolor(fit, images)
    if images.truths is not None and not torch.equal(images.truths, images.reference):
        yield "truth with grain", images.reference  # the best possible if grain cannot be predicted
    if images.truths is not None:
        yield "truth of another", images.truths.roll(1, 0)  # the right style with the wrong content


def recolor(fit: Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]], images: Translations) -> Tensor:
    """Return the inputs after a closed-form color transfer. For RGBA, it uses visible colors and keeps alpha."""
    change = fit(opaque(images.sources), opaque(images.targets))
    if images.inputs.shape[1] < 4:
        return change(images.inputs)
    straight = torch.from_numpy(unpremultiply(images.inputs.transpose(0, 1).numpy())).transpose(0, 1)
    color, alpha = change(straight[:, :3]), straight[:, 3:]
    return torch.cat([(color.float() * alpha / 255).round().to(torch.uint8), alpha], 1)


def has_held_out(data: Any) -> bool:
    """Return whether a DataModule has held-out images for evaluating a translator."""
    return len(data.inputs(2, True)) == 2


def translate_all(network: Any, data: Any, n: int, baselines: Mapping[str, Any]) -> Translations:
    """Translate n held-out images of a DataModule with all networks; training images if there are none."""
    held_out = has_held_out(data)
    tell_windows((network, *baselines.values()), data)
    inputs, truths = data.inputs(n, held_out), data.ground_truth(n, held_out)
    target = data.reals(n, True)
    target = target if len(target) > 1 else data.reals(n)
    return Translations(
        inputs,
        translate_each(network, inputs),
        None if truths is None else data.predictable_ground_truth(n, held_out),
        target,
        target if truths is None else truths,
        data.inputs(n),
        data.reals(n),
        {name: translate_each(other, inputs) for name, other in baselines.items()} | by_stage(network, inputs),
    )


def by_stage(network: Any, inputs: Tensor) -> dict[str, Tensor]:
    """Return the translations of each stage of a network by name; empty if it has no stages."""
    if not hasattr(network, "set_stage"):
        return {}
    chosen, found = network.stage, {}
    for stage in network.stages:
        network.set_stage(stage)
        found[f"stage {stage}"] = translate_each(network, inputs)
    network.set_stage(chosen)
    return found
