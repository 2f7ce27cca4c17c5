"""Choose what a translator with stages returns: a closed form, or its network if that is better on held-out images.

A network that is trained for ten minutes on twenty images can be worse than the closed form it starts from. The choice
makes sure that users get the better one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gan.images.convert import to_float, to_uint8
from gan.inference.tiling import translate_each
from gan.metrics.extractors import features
from gan.metrics.kid import KID_SCALE, NOISE_IMAGES, clearly_below, noise, squared_mmd
from gan.networks.transfer.fit import draw_pixels, fit, visible
from gan.networks.transfer.image_statistics import typical

TOLERANCE = 1.25  # factor up to which the other KIDs may be above those of the color map
FINISH_IMAGES = 200  # images of each side for fitting the last color map
CHUNK = 50  # images that are translated together

Kids = dict[str, float]  # times 1,000, by extractor


@torch.inference_mode()
def fit_finish(network: Any, inputs: Tensor, targets: Tensor) -> None:
    """Fit the color map after the network to training images uint8 (N, C, H, W), FINISH_IMAGES of each side."""
    network.set_stage("network")
    images = to_float(visible(inputs))
    made = torch.cat([to_uint8(network(part)) for part in images.split(CHUNK)])
    closed = fit(draw_pixels(made, 0), draw_pixels(typical(visible(targets)), 1), "flexible_transport")
    network.finish.load_state_dict(closed.state_dict())


def stage_kids(
    network: Any, inputs: Tensor, targets: Mapping[str, Tensor], extractors: Sequence[Any]
) -> dict[str, Kids]:
    """Return the KID times 1,000 of each stage by extractor.

    Args:
        inputs: held-out images uint8 (N, C, H, W) to translate.
        targets: features of held-out targets by the name of the extractor.
    """
    found = {}
    for stage in network.stages:
        network.set_stage(stage)
        made = translate_each(network, inputs)
        found[stage] = {
            each.name: KID_SCALE * squared_mmd(targets[each.name], features(each, made)) for each in extractors
        }
    return found


def best_stage(kids: Mapping[str, Kids], n: int = NOISE_IMAGES) -> str:
    """Return the stage with the lowest KID in features of the first extractor.

    Return the color map, the first stage, unless another stage passes two tests: this KID is clearly below that of the
    color map, and each KID of other extractors is at most TOLERANCE times that of the color map, plus chance.

    Args:
        n: number of held-out files of the smaller side: images of one file are alike.
    """
    (start, reference), *later = kids.items()
    first, *others = reference

    def improves(own: Kids) -> bool:
        better = own[first] < clearly_below(reference[first], n)
        return better and all(own[name] <= TOLERANCE * reference[name] + noise(n) for name in others)

    good = [stage for stage, own in later if improves(own)]
    return min(good, key=lambda stage: kids[stage][first], default=start)


def describe(kids: Mapping[str, Kids], stage: str, n: int = NOISE_IMAGES) -> str:
    """Return the chosen stage and the KIDs of all, in one line, and why it is not the one with the lowest KID.

    Args:
        n: as for `best_stage`.
    """
    (start, reference), *_ = kids.items()
    first, *others = reference
    listed = ", ".join(f"{name} {own[first]:.1f}" for name, own in kids.items())
    lowest = min(kids, key=lambda name: kids[name][first])
    why = ""
    if lowest != stage:
        chance = kids[lowest][first] >= clearly_below(reference[first], n)
        reason = f"is lower than {start} by no more than chance" if chance else f"is worse in {' and '.join(others)}"
        why = f"; {lowest} {reason}"
    return f"{stage} (held-out KID x 1000 in {first}, lower is better: {listed}{why})"
