"""Choose what a translator with stages returns: a closed form, or its network if that is clearly better.

A network that is trained for ten minutes on twenty images can be worse than the closed form it starts from. The choice
makes sure that users get the better one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gan.images.convert import to_float, to_uint8
from gan.metrics.extractors import features
from gan.metrics.kid import LEVEL, Files, KIDEstimate, estimate_kid, is_clearly_lower
from gan.networks.closed_form.choose import typical
from gan.networks.closed_form.fit import draw_pixels, fit, visible
from gan.translation.tiling import translate_each

TOLERANCE = 1.25  # factor up to which the other KIDs may be above those of the color map
FINISH_IMAGES = 200  # images of each side for fitting the last color map
CHUNK = 50  # images that are translated together

Kids = dict[str, KIDEstimate]  # by extractor


@torch.inference_mode()
def fit_finish(network: Any, inputs: Tensor, targets: Tensor) -> None:
    """Fit the color map after the network to training images uint8 (N, C, H, W), FINISH_IMAGES of each side."""
    network.set_stage("network")
    images = to_float(visible(inputs))
    made = torch.cat([to_uint8(network(part)) for part in images.split(CHUNK)])
    closed = fit(draw_pixels(made, 0), draw_pixels(typical(visible(targets)), 1), "flexible_transport")
    network.finish.load_state_dict(closed.state_dict())


def stage_kids(
    network: Any, inputs: Tensor, targets: Mapping[str, Tensor], extractors: Sequence[Any], files: Files = (None, None)
) -> dict[str, Kids]:
    """Return the KID times 1,000 of each stage by extractor.

    Args:
        inputs: images uint8 (N, C, H, W) to translate.
        targets: features of targets by the name of the extractor.
        files: numbers of the files of targets and of inputs.
    """
    found = {}
    for stage in network.stages:
        network.set_stage(stage)
        made = translate_each(network, inputs)
        found[stage] = {each.name: estimate_kid(targets[each.name], features(each, made), files) for each in extractors}
    return found


def best_stage(kids: Mapping[str, Kids], look: int, influences: dict[str, dict[int, Tensor]]) -> str:
    """Return the stage with the lowest KID in features of the first extractor.

    Return the color map, the first stage, unless another stage passes two tests: this KID is clearly lower than that of
    the color map, and no KID of other extractors is above TOLERANCE times that of the color map by more than chance.
    `look` is the number of this choice in training, and `influences` has those of `is_clearly_lower` by stage.
    """
    (start, reference), *later = kids.items()
    first, *others = reference

    def improves(stage: str, own: Kids) -> bool:
        lower = is_clearly_lower(own[first], reference[first], look, influences.setdefault(stage, {}))
        worse = (own[name].minus(reference[name], TOLERANCE).p_value() < LEVEL for name in others)
        return lower and not any(worse)

    good = [stage for stage, own in later if improves(stage, own)]
    return min(good, key=lambda stage: kids[stage][first], default=start)
