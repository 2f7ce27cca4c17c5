"""Describe the images of a model in their files: the digest of its weights, and the records of `gan.records.record`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor, nn

from gan import kinds
from gan.editing.attributes import for_channels
from gan.editing.space import Part
from gan.editing.vector_files import fingerprint
from gan.images.convert import to_pil_image
from gan.images.files import KEY
from gan.records import record
from gan.records.record import Records, compact
from gan.utils import digest

if TYPE_CHECKING:
    from gan.model import Model


def model_hash(network: nn.Module) -> str:
    """Return the digest of the weights that make images: 32 hexadecimal digits. It does not depend on the device.

    For a generator from latents it is the `fingerprint` in files of latents and directions, which leaves BatchNorm's
    statistics out, because they are computed from the weights. For a translator it covers the whole state.
    """
    if kinds.of_network(network) is kinds.GENERATOR:
        return fingerprint(network)
    return digest.of_tensors(network.state_dict().items())


def fields_of(network: nn.Module, images: int) -> dict[str, Any]:
    """Return the fields of a record that name a network, which is on its device and has seen `images` in training."""
    device = next(network.parameters()).device.type
    seamless = getattr(network, "seamless", None)
    return {"device": device, "model": model_hash(network), "images": images, "seamless": seamless}


def records_of(model: Model, **fields: Any) -> Records:
    """Return what writes the records of images of a model. `fields` are those that all images share."""
    return Records(**fields_of(model.generator, model.images), **fields)


@dataclass(frozen=True)
class Described:
    """The records of a set of images, as text chunks for `gan.images.convert.save_png`.

    Args:
        records: with the fields that all images share.
        classes: the name of the class of each image; None without classes.
        label: the class that the user chose; None for the class of each seed.
        seeds: the seed of each image; or
        latents: the digest of the latent of each image.
    """

    records: Records
    classes: Sequence[str | None]
    label: str | None = None
    seeds: Sequence[int] = ()
    latents: Sequence[str] = ()

    def image(self, image: Tensor, n: int) -> dict[str, str]:
        """Return the text chunk of image n, uint8 (C, H, W)."""
        source: dict[str, Any] = {"latent": self.latents[n]} if self.latents else {"seed": self.seeds[n]}
        return {KEY: self.records.text(to_pil_image(image), kind="image", **source, **{"class": self.classes[n]})}

    def grid(self, image: Tensor) -> dict[str, str]:
        """Return the text chunk of the grid of all images, uint8 (C, H, W)."""
        source = {"latents": self.latents, "seeds": compact(self.seeds)}
        return {KEY: self.records.text(to_pil_image(image), kind="grid", **source, **{"class": self.label})}


def from_seeds(model: Model, seeds: Sequence[int], label: str | None, **fields: Any) -> Described:
    """Return what describes the images of seeds. `label` is the class that the user chose."""
    names = class_names(model.classes, model.labels_of(list(seeds), label), len(seeds))
    return Described(records_of(model, **fields), names, label, seeds=seeds)


def from_latents(model: Model, latents: Tensor, labels: Tensor | None, **fields: Any) -> Described:
    """Return what describes the images of latents (N, ...) with labels (N,), before they are mixed or edited."""
    names = class_names(model.classes, labels, len(latents))
    return Described(records_of(model, **fields), names, latents=[digest.of_tensor(latent) for latent in latents])


def class_names(classes: Sequence[str], labels: Tensor | None, count: int) -> list[str | None]:
    """Return the name of the class of each of `count` images; None without classes."""
    return [None] * count if labels is None else [classes[label] for label in labels.tolist()]


def changes(
    model: Model,
    settings: Mapping[str, float],
    mixes: Sequence[tuple[int, Part]] = (),
    label: str | None = None,
    size: tuple[int, int] | None = None,
    classifier: Path | None = None,
) -> dict[str, Any]:
    """Return the fields of an edit. Changes that have no effect are left out.

    Args:
        mixes: seeds, of the class `label` if it is given, and parts of --mix.
        classifier: the file whose classes are among the attributes of the model.
    """
    # An attribute with 0 is kept constant while others change, so it counts among others.
    effective = [[name, value] for name, value in settings.items() if value or name in model.attributes]
    effective = effective if any(settings.values()) else []
    vectors = sorted(name for name, value in settings.items() if value and name in model.vectors)
    directions = "".join(name + digest.of_tensor(model.vectors[name]) for name in vectors)
    built_in = for_channels(model.shape[0])
    uses_classes = any(name in model.attributes and name not in built_in for name, _ in effective)
    mixed = []
    for seed, part in mixes:
        name = class_names(model.classes, model.labels_of([seed], label), 1)[0]
        by: dict[str, Any] = {"fraction": part} if isinstance(part, float) else {"layers": list(part)}
        mixed.append(record.make(**{"class": name}) | {"seed": seed} | by)
    return {
        "mix": mixed,
        "settings": effective,
        "directions": digest.of_bytes(directions.encode()) if directions else None,
        "size": None if size is None or size == model.shape[1:] else list(size),
        "recognition": digest.of_file(classifier) if classifier and uses_classes else None,
    }
