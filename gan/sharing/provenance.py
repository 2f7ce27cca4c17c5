"""Describe the images of a model: the digest of its weights, and the record that is written into image files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image
from torch import Tensor, nn

from gan.common import digest
from gan.images.convert import to_pil_image
from gan.images.files import KEY
from gan.latent.attributes import for_channels
from gan.latent.mixing import Part
from gan.latent.store import fingerprint
from gan.sharing import record
from gan.sharing.translations import Records

if TYPE_CHECKING:
    from gan.model import Model


def model_hash(network: nn.Module) -> str:
    """Return the digest of the weights that make images: 32 hexadecimal digits. It does not depend on the device.

    For a generator from latents it is the `fingerprint` in files of latents and directions, which leaves BatchNorm's
    statistics out, because they are computed from the weights. For a translator it covers the whole state.
    """
    if hasattr(network, "latent_dim"):
        return fingerprint(network)
    return digest.of_tensors(network.state_dict().items())


def fields_of(network: nn.Module, images: int) -> dict[str, Any]:
    """Return the fields of a record that name a network, which is on its device and has seen `images` in training."""
    device = next(network.parameters()).device.type
    return {"device": None if device == "cpu" else device, "model": model_hash(network), "images": images}


class Origin(Records):
    """Writes the records of images of one model.

    Args:
        network: the network that makes the images, on its device.
        images: number of images it has seen in training.
        fields: fields of `gan.sharing.record` that all images share. Those that are None or empty are left out.
    """

    def __init__(self, network: nn.Module, images: int, **fields: Any) -> None:
        super().__init__(**(fields_of(network, images) | fields))

    def text(self, image: Tensor | Image.Image | None = None, **fields: Any) -> str:
        """Return the record of an image as text.

        Args:
            image: the image as it is written, if the format is lossless; uint8 (C, H, W) if it is a tensor.
        """
        return super().text(to_pil_image(image) if isinstance(image, Tensor) else image, **fields)

    def chunk(self, image: Tensor, **fields: Any) -> dict[str, str]:
        """Return the record of an image uint8 (C, H, W) as a text chunk for `gan.images.convert.save_png`."""
        return {KEY: self.text(image, **fields)}


def class_names(classes: Sequence[str], labels: Tensor | None, count: int) -> list[str | None]:
    """Return the name of the class of each of `count` images; None without classes."""
    return [None] * count if labels is None else [classes[label] for label in labels.tolist()]


def effective(settings: Mapping[str, float], attributes: Mapping[str, Any]) -> list[list[Any]]:
    """Return the settings of an edit that change pixels, as pairs in their order; empty if nothing changes.

    An attribute with 0 is kept constant while others change, so it counts among others.
    """
    if not any(settings.values()):
        return []
    return [[name, value] for name, value in settings.items() if value or name in attributes]


def directions_digest(settings: Mapping[str, float], vectors: Mapping[str, Tensor]) -> str | None:
    """Return the digest of the directions that an edit uses; None if it uses none."""
    used = sorted(name for name, value in settings.items() if value and name in vectors)
    text = "".join(name + digest.of_tensor(vectors[name]) for name in used)
    return digest.of_bytes(text.encode()) if used else None


def changes(
    model: Model,
    settings: Mapping[str, float],
    mixes: Sequence[tuple[int, Part]] = (),
    label: str | None = None,
    size: tuple[int, int] | None = None,
    classifier: Path | None = None,
) -> dict[str, Any]:
    """Return the fields of an edit for an `Origin`. Changes that have no effect are left out.

    Args:
        settings: as for `Model.edit`.
        mixes: seeds and parts of --mix.
        label: the class of these seeds; None for the class of each seed.
        size: (height, width) of the images; None for the training size.
        classifier: the file whose classes are among the attributes of the model.
    """
    mixed = []
    for seed, part in mixes:
        name = class_names(model.classes, model.labels_of([seed], label), 1)[0]
        by: dict[str, Any] = {"fraction": part} if isinstance(part, float) else {"layers": list(part)}
        mixed.append(record.make(**{"class": name}) | {"seed": seed} | by)
    return {
        "mix": mixed,
        "settings": effective(settings, model.attributes),
        "directions": directions_digest(settings, model.vectors),
        "size": None if size is None or size == model.shape[1:] else list(size),
        "recognition": digest.of_file(classifier) if classifier and uses_classifier(model, settings) else None,
    }


def uses_classifier(model: Model, settings: Mapping[str, float]) -> bool:
    """Return whether an edit changes classes of a classifier."""
    built_in = for_channels(model.shape[0])
    return any(settings.values()) and any(name in model.attributes and name not in built_in for name in settings)
