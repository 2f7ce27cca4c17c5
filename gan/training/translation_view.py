"""What callbacks show and measure of a translator in training: translations by its EMA generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, cached_property, partial
from typing import Any

import torch
from torch import Tensor, nn

from gan.images.convert import to_float, to_uint8
from gan.metrics.extractors import extractor, features
from gan.metrics.kid import KID_SCALE, LEVEL, Files, KIDEstimate, estimate_kid, is_clearly_lower, squared_mmd
from gan.metrics.pairs import content_preservation, ground_truth_scores
from gan.metrics.prdc import NEIGHBORS
from gan.networks.closed_form.choose import typical
from gan.networks.closed_form.fit import CHUNK, draw_pixels, fit, visible
from gan.training.view import LatentView
from gan.translation.tiling import translate_each
from gan.utils.output import print_line

STAGE_IMAGES = 500  # images of each domain for choosing a stage
TOLERANCE = 1.25  # factor up to which the other KIDs may be above those of the color map
FINISH_IMAGES = 200  # images of each side for fitting the last color map

Kids = dict[str, KIDEstimate]  # by extractor


class TranslationView(LatentView):
    """Translations of images of the data."""

    num_translations = 1  # number of images that `translations` returns per image

    def __init__(self, model: Any) -> None:
        super().__init__(model)
        self.influences: dict[str, dict[int, Tensor]] = {}  # by stage, see `best_stage`

    @property
    def data(self) -> Any:
        return self.model.data

    def generator(self) -> nn.Module:
        """Return the EMA generator in eval mode. Translators have no statistics to estimate."""
        return self.model.ema.module

    def chosen(self, images: Callable[[int, bool], Tensor], n: int) -> Tensor:
        """Return exactly n images of a method of the data, such as `inputs`: held-out if any, repeated if too few."""
        found = images(n, True)
        found = found if len(found) else images(n, False)
        return found[torch.arange(n) % len(found)]

    def translations(self, images: Tensor) -> list[Tensor]:
        """Return the translations of images that a grid shows beside the images."""
        return [translate_each(self.generator(), images)]

    def beside(self, n: int) -> list[Tensor]:
        """Return the columns of a grid: n images and their translations, and the ground truth.

        If the ground truth is unknown, the last columns are images of the target domain and their translations, which
        should be equal.
        """
        images = self.chosen(self.data.inputs, n)
        columns = [images, *self.translations(images)]
        if self.has_ground_truth:
            return [*columns, self.chosen(self.data.ground_truth, n)]
        target = self.chosen(self.data.reals, n)
        return [*columns, target, translate_each(self.generator(), target)]

    @property
    def has_ground_truth(self) -> bool:
        return self.data.ground_truth(1) is not None

    @property
    def num_beside(self) -> int:
        return 1 + self.num_translations + (1 if self.has_ground_truth else 2)

    def preview(self, n: int) -> Tensor:
        """Return at most n images, row by row of `beside`."""
        return torch.stack(self.beside(max(1, n // self.num_beside)), 1).flatten(0, 1)[:n]

    def columns(self, n: int) -> int | None:
        return self.num_beside * max(1, round(n**0.5 / self.num_beside))

    def num_fakes(self, n: int) -> int:
        """Return the number of images to translate: all, or more by repetition if they are too few for a score."""
        available = len(self.data.inputs(n, True)) or len(self.data.inputs(n, False))
        return max(available, NEIGHBORS + 1)

    def fakes(self, n: int, rank: int = 0, ranks: int = 1) -> Tensor:
        return translate_each(self.generator(), self.chosen(self.data.inputs, n)[rank::ranks])

    def fake_files(self, n: int) -> Tensor:
        return self.chosen(partial(self.data.files, side="a"), n)

    def scores(self, fakes: Tensor) -> dict[str, float]:
        """Return the preservation of content, and the distance to the ground truth if it is known."""
        images = self.chosen(self.data.inputs, len(fakes))
        found = content_preservation(images, fakes)
        if self.has_ground_truth:
            found |= ground_truth_scores(images, fakes, self.chosen(self.data.predictable_ground_truth, len(fakes)))
        return found

    # ---- Stages

    def before_evaluation(self, evaluation: int) -> None:
        """Choose the stage of a generator with stages on rank 0, and set it on all ranks."""
        network: Any = self.model.ema.module
        if not hasattr(network, "set_stage"):
            return
        if self.model.trainer.is_global_zero:
            self.choose_stage(network, evaluation)
        state = self.model.trainer.strategy.broadcast((network.stage, network.finish.state_dict()))
        for translator in (self.model.generator, network):
            translator.set_stage(state[0])
            translator.finish.load_state_dict(state[1])

    def choose_stage(self, network: Any, evaluation: int) -> None:
        """Set the best stage of a generator, by held-out images or by training images if there are none."""
        fit_finish(network, *(images(FINISH_IMAGES) for images in (self.data.inputs, self.data.reals)))
        given = STAGE_IMAGES, self.stage_held_out
        files = self.data.files(*given), self.data.files(*given, "a")
        kids = stage_kids(network, self.data.inputs(*given), self.stage_targets, self.stage_extractors, files)
        stage = best_stage(kids, evaluation, self.influences)
        network.set_stage(stage)
        first = self.stage_extractors[0].name
        self.model.log_scalars({f"stage/kid_x1000_{first}_{name}": float(own[first]) for name, own in kids.items()})
        print_line(f"stage: {stage} is used, of {', '.join(kids)}")

    @cached_property
    def stage_held_out(self) -> bool:
        """Whether held-out images choose the stage: those of training do if a side has fewer than two."""
        return min(len(self.data.inputs(2, True)), len(self.data.reals(2, True))) == 2

    @cached_property
    def stage_targets(self) -> dict[str, Tensor]:
        """Return the features of the targets that choose the stage, by the name of the extractor."""
        targets = self.data.reals(STAGE_IMAGES, self.stage_held_out)
        return {each.name: features(each, targets) for each in self.stage_extractors}

    @cached_property
    def stage_extractors(self) -> list[Any]:
        return [extractor("lite0"), extractor("random_conv")]

    def distance_to(self, targets: Tensor) -> Callable[[Tensor], float]:
        """Return the KID of images uint8 (N, C, H, W) to targets, times 1,000, in features that choose the stage."""
        first = self.stage_extractors[0]
        wanted = cache(lambda: features(first, targets))  # not needed by all models

        def distance(images: Tensor) -> float:
            return KID_SCALE * squared_mmd(wanted(), features(first, images))

        return distance

    def state_dict(self) -> dict[str, Any]:
        return {"stage_influences": {stage: dict(series) for stage, series in self.influences.items()}}

    def load_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        self.influences = checkpoint.get("stage_influences", {})  # older runs have none


class CycleView(TranslationView):
    """Translations from a to b, and back."""

    num_translations = 2

    def generator(self) -> nn.Module:
        return self.model.ema.module.a2b

    def translations(self, images: Tensor) -> list[Tensor]:
        (there,) = super().translations(images)
        return [there, translate_each(self.model.ema.module.b2a, there)]


# ---- What a translator with stages returns: a closed form, or its network if that is clearly better. A network that is
# trained for ten minutes on twenty images can be worse than the closed form it starts from; the choice makes sure that
# users get the better one.


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


def best_stage(kids: Mapping[str, Kids], comparison: int, influences: dict[str, dict[int, Tensor]]) -> str:
    """Return the stage with the lowest KID in features of the first extractor.

    Return the color map, the first stage, unless another stage passes two tests: this KID is clearly lower than that of
    the color map, and no KID of other extractors is above TOLERANCE times that of the color map by more than chance.
    `comparison` is the number of this choice in training, and `influences` has those of `is_clearly_lower` by stage.
    """
    (start, reference), *later = kids.items()
    first, *others = reference

    def improves(stage: str, own: Kids) -> bool:
        lower = is_clearly_lower(own[first], reference[first], comparison, influences.setdefault(stage, {}))
        worse = (own[name].minus(reference[name], TOLERANCE).p_value() < LEVEL for name in others)
        return lower and not any(worse)

    good = [stage for stage, own in later if improves(stage, own)]
    return min(good, key=lambda stage: kids[stage][first], default=start)
