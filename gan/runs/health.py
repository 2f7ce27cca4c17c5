"""Rules that tell what is wrong with a run, why, and what to change. No torch.

Training warns by them, and the report and `gan doctor` list what they find. docs/problems.md explains each.

Rules read the values of a run by name. Those without a value do not apply.

Logged during training:
skipped            fraction of a network's updates that were skipped because of gradients that are not finite
accuracy           fraction of pairs in which D gives the real image the higher logit
overfitting        r_v, see `gan.training.callbacks.health`
overfitting_bound  a value that r_v exceeds almost certainly
augment            probability of an adaptive augmentation
max_probability    its limit
start              1 if the run started from another model
diversity          mean distance between the thumbnails of two samples, divided by that of two real images

Of the curve of the objective, if lower values are better, see `values_of_curve`:
images             images seen
worse              the newest score, divided by the best one
best_at            images seen at the best score, divided by all images seen
untrained          the newest score, divided by that before training
doubled            the score that the curve suggests after twice the images, divided by the newest one

Of the configuration, the data and the images: see `gan.evaluation.symptoms`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from statistics import linear_regression
from typing import NamedTuple

from gan.runs.metrics import Log, Objective

Values = Mapping[str, float]

SILENT = 60.0  # seconds of training before the first finding, because every network is unbalanced then
MAX_SKIPPED = 0.01
MAX_ACCURACY = 0.96  # from there on, G receives hardly any gradient; healthy runs with ADA reach 0.95
MIN_ACCURACY = 0.55  # below it, D hardly separates real from generated images
MAX_OVERFITTING = 0.5  # the ADA paper keeps r_v near or below 0.5 (its figure 3)
ROUNDING = 1e-3  # rounding error of a mean of probabilities in fp32
MIN_DIVERSITY = 0.6
# The limits below were chosen with the runs of tests/benchmarks/doctor.py
ENOUGH = 20_000  # images seen, before which no generator draws recognizable images
FEW = 200  # training images, below which a network copies them or needs a start
STEEPEST = 4.0  # power of the images that a score follows; a damaged log can have any
RATE = 5.0  # factor between the learning rate of a run and that of its recipe


class Rule(NamedTuple):
    """What is wrong with a run whose values fulfill a condition. Texts may contain values, such as {accuracy:.0%}."""

    applies: Callable[[Values], bool]
    seen: str
    cause: str
    remedy: str  # completes "Try ..."
    options: str = ""  # the overrides of a command that follows the remedy; empty if no option does
    resumes: bool = False  # whether the command continues the run; if not, it trains a new one


class Finding(NamedTuple):
    """A rule that applies to a run, and what was seen there."""

    name: str
    seen: str
    rule: Rule


# The most harmful first
RULES = {
    "diverged": Rule(
        lambda values: values.get("worse", 1) >= 3,
        "training diverged: the newest score is {worse:.1f} times the best one",
        "a step was too large, or one network overpowered the other",
        "lower learning rates; other commands use the best checkpoint, so nothing is lost",
        "init_from={run} model.generator_optimizer.lr={half_lr_generator:.2g} "
        "model.discriminator_optimizer.lr={half_lr_discriminator:.2g}",
    ),
    "skipped updates": Rule(
        lambda values: values.get("skipped", 0) >= MAX_SKIPPED,
        "{skipped:.1%} of the updates were skipped, because their gradients were not finite",
        "half precision overflows, or the learning rates are too high",
        "lower learning rates, trainer.precision=32-true",
        "trainer.precision=32-true",
    ),
    "learning rate": Rule(
        lambda values: not 1 / RATE < values.get("rate", 1) < RATE,
        "the learning rate of the {network} is {rate:.2g} times that of the recipe",
        "it was set by an option",
        "the learning rates of the recipe",
        "model.generator_optimizer.lr={recipe_lr_generator:.2g} "
        "model.discriminator_optimizer.lr={recipe_lr_discriminator:.2g}",
    ),
    "too short": Rule(
        lambda values: values.get("images", math.inf) < ENOUGH and not values.get("start"),
        "the run is short: the networks have seen {images:,.0f} images",
        "the first recognizable images need about 50,000",
        "longer training",
        "resume={run} images={more_images:.0f} minutes=null",
        resumes=True,
    ),
    "mode collapse": Rule(
        lambda values: values.get("diversity", 1) <= MIN_DIVERSITY,
        "mode collapse: the mean distance between samples is {diversity:.0%} of that between real images",
        "the generator found a few images that the discriminator accepts",
        "init_from=RUN (loads its best checkpoint), lower learning rates, augment=ada, or another seed",
        "augment=ada seed=1",
    ),
    "class collapse": Rule(
        lambda values: values.get("class_diversity", 1) <= MIN_DIVERSITY,
        "the images of class {class} hardly differ: their mean distance is {class_diversity:.0%} of that between its "
        "real images",
        "the class has few training images, or the generator collapsed for it alone",
        "more images of the class, augment=ada, or another seed",
        "augment=ada seed=1",
    ),
    "few images": Rule(
        lambda values: values.get("files", FEW) < FEW and not values.get("start"),
        "there are only {files:.0f} training images",
        "from so few images, the discriminator learns each one, and the generator copies them or learns little",
        "experiment=few_shot, which starts from a trained model; more images; for photographs with the look of these "
        "images, gan translate --fit",
        "experiment=few_shot",
    ),
    "copies": Rule(
        lambda values: values.get("copies", 0) >= 0.15,
        "{copies:.0%} of the generated images are copies of training images",
        "the discriminator has memorized the training images",
        "more images, augment=ada, or an earlier checkpoint (--checkpoint)",
        "augment=ada",
    ),
    "one class dominates": Rule(
        lambda values: values.get("largest_class", 0) >= 0.8,
        "{largest_class:.0%} of the training images are in one of {folders:.0f} sub-folders",
        "the generator draws what it sees most often",
        "data.labels=true, so that gan generate --class draws the others; more images of the others",
        "data.labels=true",
    ),
    "wrong crop": Rule(
        lambda values: values.get("cut", 0) >= 0.2,
        "data.fit=crop cuts {cut:.0%} of an image on average",
        "the images have another shape than data.size",
        "a data.size of their shape, or data.fit=pad",
        "data.size={shape} data.fit={fit}",
    ),
    "enlarged pixel art": Rule(
        lambda values: values.get("enlarged", 0) >= 0.3,
        "{enlarged:.0%} of the training images are enlarged pixel art",
        "each of their pixels is a square of many, whose edges are blurred when the image is resized",
        "gan data unscale FOLDER OUTPUT, then data.root=OUTPUT",
        "data.root=OUTPUT",
    ),
    "duplicates": Rule(
        lambda values: values.get("duplicates", 0) >= 0.3,
        "{duplicates:.0%} of the training images are nearly identical to others",
        "the generator draws them more often, and held-out images may not be new",
        "gan data check FOLDER, which lists them, and data.split=content",
        "data.split=content",
    ),
    "constant border": Rule(
        lambda values: values.get("constant", 0) >= 0.2,
        "{constant:.0%} of the pixels are the same in nearly all training images",
        "margins or a status bar take the place of the content",
        "images without them",
    ),
    "inverted colors": Rule(
        lambda values: values.get("inverted", 0) >= 0.25,
        "{inverted:.0%} of the generated images are nearer to negatives of training images than to training images",
        "an augmentation leaks: it is so strong or so frequent that the generator learns it",
        "augment=ada, which limits its probability, or augment=none",
        "augment=ada",
    ),
    "washed-out colors": Rule(
        lambda values: values.get("colors", 1) <= 0.4,
        "the contrast or the saturation of the generated images is {colors:.0%} of that of real images",
        "the generator averages what it does not know yet, or an augmentation of colors leaks",
        "longer training, or another augmentation, such as augment=translation",
        "augment=translation",
    ),
    "maximal augmentation": Rule(
        lambda values: "augment" in values and values["augment"] >= values.get("max_probability", 1) - ROUNDING,
        "augmentation is at its maximal probability {augment:.0%}, so that it may leak into the generated images",
        "there are too few training images, or augment.target is too low",
        "more images, smaller networks, or larger weights of the penalties on D",
        "init_from=zoo:start64",
    ),
    "too strong": Rule(
        # normal after a start from another model
        lambda values: values.get("accuracy", 0) >= MAX_ACCURACY and not values.get("start"),
        "the discriminator classifies {accuracy:.0%} of pairs correctly, so the generator may stop learning",
        "the discriminator learns faster than the generator, or has too few images",
        "stronger augmentation, such as augment=ada, or a lower model.discriminator_optimizer.lr, if grids and scores "
        "no longer improve",
        "augment=ada model.discriminator_optimizer.lr={half_lr_discriminator:.2g}",
    ),
    "too weak": Rule(
        lambda values: values.get("accuracy", 1) <= MIN_ACCURACY,
        "the discriminator is too weak: it classifies only {accuracy:.0%} of pairs correctly",
        "the discriminator learns more slowly than the generator, or is too small",
        "a higher model.discriminator_optimizer.lr, a larger network, or model.n_critic=2, unless samples are good",
        "model.discriminator_optimizer.lr={double_lr_discriminator:.2g}",
    ),
    "overfitting": Rule(
        lambda values: values.get("overfitting_bound", 0) >= MAX_OVERFITTING,
        "the discriminator overfits: the gap between its logits of training and of held-out images is "
        "{overfitting:.0%} of the gap between training and generated images",
        "there are few training images for the size of the discriminator",
        "stronger augmentation, such as augment=ada, more images, or smaller networks",
        "augment=ada",
    ),
    "no progress": Rule(
        lambda values: values.get("untrained", 0) >= 0.9 and values.get("images", 0) >= ENOUGH,
        "the score is {untrained:.0%} of that before training, after {images:,.0f} images",
        "a network does not move: its learning rate is too low, or it gets no gradient",
        "a higher model.generator_optimizer.lr, or a recipe that is known to work, such as model=dcgan",
        "model.generator_optimizer.lr={double_lr_generator:.2g}",
    ),
    "small batches": Rule(
        lambda values: values.get("batch", 4) < values.get("group", 1),
        "a batch of {batch:.0f} images is smaller than mbstd_group_size={group:.0f}",
        "the minibatch standard deviation, which prevents a mode collapse, compares fewer images",
        "a larger data.batch_size",
        "data.batch_size={group:.0f}",
    ),
    "checkered texture": Rule(
        lambda values: values.get("checkered", 0) >= 8,
        "the generated images have a checkered texture: {checkered:.0f} dB above real images at its frequency",
        "transposed convolutions draw it, and longer training removes it",
        "model.generator.upsampling=nearest (dcgan), or longer training",
        "model.generator.upsampling=nearest",
    ),
    "noise": Rule(
        lambda values: values.get("noise", 0) >= 48,
        "the generated images have noise where real images are flat: {noise:.0f} of 255 levels",
        "the generator has not learnt flat areas yet",
        "longer training, or a lower model.generator_optimizer.lr",
        "model.generator_optimizer.lr={half_lr_generator:.2g}",
    ),
    "best long ago": Rule(
        lambda values: values.get("best_at", 1) <= 0.5 and values.get("worse", 1) >= 1.25,
        "the best score was reached after {best_at:.0%} of the training, and the newest is {worse:.2f} times as high",
        "the networks overfit or lost their balance since",
        "stop=flat, which ends such a run; other commands use the best checkpoint, so nothing is lost",
        "stop=flat",
    ),
}


def findings(values: Values) -> Iterator[Finding]:
    """Yield what is wrong with a run that has these values, the most harmful first."""
    for name, rule in RULES.items():
        if rule.applies(values):
            yield Finding(name, rule.seen.format(**values), rule)


def page_of(name: str) -> str:
    """Return the section of the documentation about a rule."""
    return f"docs/problems.md#{name.replace(' ', '-')}"


def newest_values(log: Log, config: Mapping[str, object]) -> dict[str, float]:
    """Return the newest values that a run has logged. `config` has its options by dotted names."""
    newest = {name.removeprefix("health/"): points[-1].value for name, points in log.curves.items()
              if name.startswith("health/") and points}  # fmt: skip
    newest["skipped"] = max((value for name, value in newest.items() if name.startswith("skipped_")), default=0.0)
    recent = [point.value for point in log.curves.get("health/overfitting", [])[-2:]]
    newest["overfitting_bound"] = min(recent, default=0.0)  # one check alone is uncertain
    newest["start"] = float(bool(config.get("init_from")))
    limit = config.get("model.augment.max_probability")
    return newest | ({"max_probability": limit} if isinstance(limit, int | float) else {})


def values_of_curve(log: Log, objective: Objective) -> dict[str, float]:
    """Return what the curve of the objective tells. The score follows a power of the images seen, from a quarter on.

    Scores of which higher values are better tell only the images, and so does a best score of 0 or less, which the KID
    has for images as near as other real ones.
    """
    values = {"images": float(log.images)} if log.images else {}
    points = [point for point in log.curves.get(objective.name, ()) if point.images >= objective.since]
    scores = [point.value for point in points]
    if objective.sign < 0 or not scores or min(scores) <= 0:
        return values
    best = min(points, key=lambda point: point.value)
    values |= {"worse": scores[-1] / best.value, "best_at": best.images / max(1, points[-1].images)}
    if before := log.untrained.get(objective.name):
        values["untrained"] = scores[-1] / before
    late = [point for point in points if point.images >= points[-1].images / 4 and point.images]
    if len({point.images for point in late}) > 1:
        logs = [(math.log(point.images), math.log(point.value)) for point in late]
        slope = linear_regression(*zip(*logs, strict=True)).slope
        values["doubled"] = 2 ** max(-STEEPEST, min(STEEPEST, slope))
    return values
