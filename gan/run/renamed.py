"""Old names of options and of files in conf/: an error message tells the new name. No torch."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

# Old key or GROUP=FILE -> new name, or several names if it depends on the model. A key also matches all options below
# it. A key of model.generator or model.discriminator also matches one level deeper, as in model.generator.a2b.KEY.
RENAMED: dict[str, str | tuple[str, ...]] = {
    "augment.every": "augment.interval",
    "augment.images": "augment.adjustment_images",
    "augment.most": "augment.max_probability",
    "callback.checkpoint.every": "callback.checkpoint.interval",
    "callback.checkpoint.keep_every": "callback.checkpoint.keep_interval",
    "callback.evaluate.every": "callback.evaluate.interval",
    "callback.evaluate.n": "callback.evaluate.num_images",
    "callback.evaluate.reals": "callback.evaluate.max_real_images",
    "callback.health.every": "callback.health.interval",
    "callback.health.n": "callback.health.num_images",
    "callback.progress.plain_every": "callback.progress.plain_interval",
    "callback.samples.every": "callback.samples.interval",
    "callback.samples.n": "callback.samples.num_images",
    "data.disk": "data.max_cache_size",
    "data.image": "data.image_column",
    "data.images": "data.num_images",
    "data.keep": "data.storage",
    "data.kinds": "data.classes",
    "data.label": "data.label_column",
    "data.part": "data.hub_split",
    "data.windows": "data.patches_per_image",
    "data.workers": "data.num_workers",
    "metric.frechet": "metric.fd",
    "metric.kernel": "metric.kid",
    "metric=frechet": "metric=fd",
    "metric=kernel": "metric=kid",
    "model.closed_form": "model.fit_color_map",
    "model.discriminator.back": "model.discriminator.b2a",
    "model.discriminator.beside": "model.discriminator.condition_channels",
    "model.discriminator.blocks": "model.discriminator.blocks_per_stage",
    "model.discriminator.group": "model.discriminator.mbstd_group_size",
    "model.discriminator.layers": "model.discriminator.n_layers",
    "model.discriminator.most": "model.discriminator.max_channels",
    "model.discriminator.san": "model.discriminator.head",
    "model.discriminator.side": "model.discriminator.backbone_resolution",
    "model.discriminator.there": "model.discriminator.a2b",
    "model.generator.back": "model.generator.b2a",
    "model.generator.blocks": ("model.generator.n_blocks", "model.generator.blocks_per_stage"),
    "model.generator.detail": "model.generator.full_size_channels",
    "model.generator.latent": "model.generator.latent_dim",
    "model.generator.layers": "model.generator.mapping_layers",
    "model.generator.mixing": "model.generator.style_mixing_prob",
    "model.generator.most": "model.generator.max_channels",
    "model.generator.points": "model.generator.lut_size",
    "model.generator.tables": "model.generator.num_luts",
    "model.generator.texture": "model.generator.texture_channels",
    "model.generator.there": "model.generator.a2b",
    "model.log_every": "model.log_interval",
    "model.pool": "model.pool_size",
    "model.power_averages": "model.power_ema",
    "penalty.approximate_r1.every": "penalty.approximate_r1.interval",
    "penalty.approximate_r2.every": "penalty.approximate_r2.interval",
    "penalty.cycle.every": "penalty.cycle.interval",
    "penalty.gradient": "penalty.gradient_penalty",
    "penalty.gradient_penalty.every": "penalty.gradient_penalty.interval",
    "penalty.identity.every": "penalty.identity.interval",
    "penalty.lecam.every": "penalty.lecam.interval",
    "penalty.lut_regularization.every": "penalty.lut_regularization.interval",
    "penalty.lut_regularization.monotone": "penalty.lut_regularization.monotonicity",
    "penalty.lut_regularization.smooth": "penalty.lut_regularization.smoothness",
    "penalty.lut_regularization.straight": "penalty.lut_regularization.curvature",
    "penalty.patch_nce.dim": "penalty.patch_nce.embedding_dim",
    "penalty.patch_nce.every": "penalty.patch_nce.interval",
    "penalty.patch_nce.patches": "penalty.patch_nce.num_patches",
    "penalty.path_length.every": "penalty.path_length.interval",
    "penalty.path_length.share": "penalty.path_length.fraction",
    "penalty.r1.every": "penalty.r1.interval",
    "penalty.r2.every": "penalty.r2.interval",
    "penalty.reconstruction.every": "penalty.reconstruction.interval",
    "penalty.rotation.every": "penalty.rotation.interval",
    "penalty.rotation.numbers": "penalty.rotation.embedding_dim",
    "penalty.table": "penalty.lut_regularization",
    "penalty=gradient": "penalty=gradient_penalty",
    "penalty=table": "penalty=lut_regularization",
}
MAX_PARTS = 6  # maximum number of parts of a key in RENAMED
NETWORKS = ("model.generator", "model.discriminator")
OLDER_VERSION = "an older version has written this run; install that version, or train again"


def new_names(name: str) -> list[str]:
    """Return the new names of an old key or GROUP=FILE; an empty list if it was not renamed."""
    current, found = [name], []
    while current := [new for old in current for new in _renamed_once(old)]:
        found = current
    return found


def _renamed_once(name: str) -> list[str]:
    parts = name.split(".")
    for end in range(min(len(parts), MAX_PARTS), 0, -1):
        if new := RENAMED.get(".".join(parts[:end])):
            return [".".join([each, *parts[end:]]) for each in _as_tuple(new)]
    network = ".".join(parts[:2])
    if network in NETWORKS and len(parts) > 3 and (new := RENAMED.get(f"{network}.{parts[-1]}")):
        return [".".join([*parts[:-1], each.removeprefix(f"{network}.")]) for each in _as_tuple(new)]
    return []


def _as_tuple(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else names


def describe_renamed(key: str, value: Any = None, known: Collection[str] = ()) -> str | None:
    """Return a line such as `data.workers: renamed to data.num_workers`; None if nothing was renamed.

    Args:
        key: an option, or a group.
        value: the value of a group.
        known: options of the configuration, for choosing among several new names.
    """
    files = value if isinstance(value, list) else [value]
    for old in (key, *(f"{key}={file}" for file in files)):
        if names := new_names(old):
            fitting = [name for name in names if name in known]
            return f"{old}: renamed to {' or '.join(fitting or names)}"
    return None


def find_renamed(keys: Iterable[str], known: Collection[str]) -> str | None:
    """Return the line about the first key that is unknown and has been renamed; None if there is none."""
    descriptions = (describe_renamed(key, known=known) for key in keys if key not in known)
    return next((description for description in descriptions if description), None)
