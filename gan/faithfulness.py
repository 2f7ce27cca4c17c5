"""What an evaluation says of a translator: the rows of its table beside doing nothing and beside closed forms.

A translation is near to the truth, where it is known, near to the target, far from what it was made of, and it
keeps what is in the picture. None of these numbers means much without the others and without what costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from gan.evaluation import Row
from gan.metrics import squared_mmd
from gan.metrics.colour_transfer import CLOSED_FORMS
from gan.metrics.pairs import PerceptualDistance
from gan.metrics.spectrum import spectral_distance
from gan.metrics.translation import kept, nearness
from gan.tiles import translate_each


class Pictures(NamedTuple):
    """Of one evaluation, uint8 (N, C, H, W)."""

    inputs: Tensor
    outputs: Tensor
    truths: Tensor | None
    target: Tensor  # real pictures of the target, of other photographs
    sources: Tensor  # pictures to translate and of the target that were trained on, which closed forms are fitted to
    targets: Tensor
    others: dict[str, Tensor]  # what other translators made of the inputs


def evaluate(pictures: Pictures, features: Callable[[Tensor], Tensor]) -> list[Row]:
    """All rows, those of the translator and of others first.

    Args:
        features: uint8 (N, C, H, W) -> (N, D), for the kernel distances to the target and to the pictures translated.
    """
    target, inputs = features(pictures.target), features(pictures.inputs)
    perceptual = PerceptualDistance() if pictures.truths is not None else None
    rows = []
    for name, images in candidates(pictures):
        seen = inputs if images is pictures.inputs else features(images)
        values = {"kid_target": squared_mmd(target, seen), "kid_source": squared_mmd(inputs, seen)}
        values |= kept(pictures.inputs, images) | {"spectrum": spectral_distance(pictures.target, images)}
        if pictures.truths is not None and perceptual is not None:
            values |= nearness(pictures.inputs, images, pictures.truths)
            values["perceptual"] = float(perceptual(images, pictures.truths).mean())
        rows.append(Row(name, len(images), len(target), values))
    return rows


def candidates(pictures: Pictures) -> Iterator[tuple[str, Tensor]]:
    yield "translated", pictures.outputs
    yield from pictures.others.items()
    yield "nothing done", pictures.inputs
    for name, fit in CLOSED_FORMS.items():
        yield name, fit(pictures.sources, pictures.targets)(pictures.inputs)
    if pictures.truths is not None:
        # A picture of the right style with something else in it: how far that is from the truth.
        yield "another's truth", pictures.truths.roll(1, 0)


def keeps(data: Any) -> bool:
    """Whether it has held out pictures of both sides to measure with."""
    return min(len(data.inputs(2, True)), len(data.reals(2, True))) == 2


def translated(network: Any, data: Any, n: int, others: Mapping[str, Any]) -> Pictures:
    """What networks make of n pictures that a DataModule has held out, or has trained on where it keeps none."""
    held_out = keeps(data)
    inputs = data.inputs(n, held_out)
    return Pictures(
        inputs,
        translate_each(network, inputs),
        None if data.truths(1) is None else data.expected(n, held_out),
        data.reals(n, held_out),
        data.inputs(n),
        data.reals(n),
        {name: translate_each(other, inputs) for name, other in others.items()},
    )
