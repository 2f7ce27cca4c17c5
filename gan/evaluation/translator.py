"""What an evaluation says of a translator: the rows of its table beside doing nothing and beside closed forms.

A translation is near to the truth, where it is known, near to the target, far from what it was made of, and it
keeps what is in the picture. None of these numbers means much without the others and without what costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan.data.decoding.color import unpremultiply
from gan.evaluation.generator import Row
from gan.inference.tiling import translate_each
from gan.metrics.color_transfer import CLOSED_FORMS, opaque
from gan.metrics.kid import squared_mmd
from gan.metrics.pairs import PerceptualDistance
from gan.metrics.pretrained import MissingWeights
from gan.metrics.spectrum import spectral_distance
from gan.metrics.translation import content_preservation, ground_truth_scores


class Pictures(NamedTuple):
    """Of one evaluation, uint8 (N, C, H, W)."""

    inputs: Tensor
    outputs: Tensor
    truths: Tensor | None
    target: Tensor  # real pictures of the target, of other photographs
    like: Tensor  # what fine detail is compared with: the truths with their grain, else the target
    sources: Tensor  # pictures to translate and of the target that were trained on, which closed forms are fitted to
    targets: Tensor
    others: dict[str, Tensor]  # what other translators made of the inputs


def evaluate(pictures: Pictures, features: Callable[[Tensor], Tensor]) -> list[Row]:
    """All rows, those of the translator and of others first.

    Args:
        features: uint8 (N, C, H, W) -> (N, D), for the kernel distances to the target and to the pictures translated.
    """
    target, inputs = features(pictures.target), features(pictures.inputs)
    perceptual = distance() if pictures.truths is not None else None
    rows = []
    for name, images in candidates(pictures):
        same = images is pictures.inputs
        seen = inputs if same else features(images)
        values = {"kid_target": squared_mmd(target, seen)} | (
            {} if same else {"kid_source": squared_mmd(inputs, seen, matched=True)}
        )
        values |= content_preservation(pictures.inputs, images) | {"spectrum": spectral_distance(pictures.like, images)}
        if pictures.truths is not None:
            values |= ground_truth_scores(pictures.inputs, images, pictures.truths)
            if perceptual:
                values["perceptual"] = float(perceptual(images, pictures.truths).mean())
        rows.append(Row(name, len(images), len(target), values))
    return rows


def distance() -> PerceptualDistance | None:
    """None where its network's weights are missing, which is said."""
    try:
        return PerceptualDistance()
    except MissingWeights as error:
        print(f"no perceptual distance: {error}")
        return None


def candidates(pictures: Pictures) -> Iterator[tuple[str, Tensor]]:
    yield "translated", pictures.outputs
    yield from pictures.others.items()
    yield "nothing done", pictures.inputs
    for name, fit in CLOSED_FORMS.items():
        yield name, recolored(fit, pictures)
    if pictures.truths is not None and not torch.equal(pictures.truths, pictures.like):
        yield "the truth, with its grain", pictures.like  # the most that can be reached where grain cannot be foreseen
    if pictures.truths is not None:
        # A picture of the right style with something else in it: how far that is from the truth.
        yield "another's truth", pictures.truths.roll(1, 0)


def recolored(fit: Callable[[Tensor, Tensor], Callable[[Tensor], Tensor]], pictures: Pictures) -> Tensor:
    """What a closed form makes of the inputs; of RGBA it is of the colors that are seen, and alpha stays."""
    change = fit(opaque(pictures.sources), opaque(pictures.targets))
    if pictures.inputs.shape[1] < 4:
        return change(pictures.inputs)
    straight = torch.from_numpy(unpremultiply(pictures.inputs.transpose(0, 1).numpy())).transpose(0, 1)
    color, alpha = change(straight[:, :3]), straight[:, 3:]
    return torch.cat([(color.float() * alpha / 255).round().to(torch.uint8), alpha], 1)


def keeps(data: Any) -> bool:
    """Whether it has held out pictures to measure with."""
    return len(data.inputs(2, True)) == 2


def translated(network: Any, data: Any, n: int, others: Mapping[str, Any]) -> Pictures:
    """What networks make of n pictures that a DataModule has held out, or has trained on where it keeps none."""
    held_out = keeps(data)
    inputs, truths = data.inputs(n, held_out), data.ground_truth(n, held_out)
    target = data.reals(n, True)
    target = target if len(target) > 1 else data.reals(n)
    return Pictures(
        inputs,
        translate_each(network, inputs),
        None if truths is None else data.predictable_ground_truth(n, held_out),
        target,
        target if truths is None else truths,
        data.inputs(n),
        data.reals(n),
        {name: translate_each(other, inputs) for name, other in others.items()},
    )
