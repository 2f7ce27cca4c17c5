"""Load labeled images for `gan recognize` from a folder or from a run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.common.output import first_few, one_line
from gan.data.split import group_keys
from gan.inference import loading

MAX_LISTED = 10  # classes in a message


def labeled_data(config: dict[str, Any], checkpoint: Path, folder: str | None, labels: str | None) -> Any:
    """Return a DataModule of labeled images. It holds out no images.

    Args:
        folder: folder with a sub-folder of images per class; None loads the images of the run.
        labels: CSV or JSON file of files and labels, instead of sub-folders.

    Raises:
        UserError: the images cannot be read, or have fewer than two classes.
    """
    options = dict(config["data"])
    if options.get("fit") in ("random_crop", "patches"):
        options["fit"] = "crop"  # whole images, as in prediction
    if folder is None and not loading.has_data(config):
        raise UserError("a shared model has no training images; give FOLDER, with a sub-folder per class")
    if folder is None and str(options.get("_target_")).startswith("gan.data.shards."):
        raise UserError("shards have no names of files to divide by; give FOLDER, with a sub-folder per class")
    if folder is None:
        options |= {"split": None, "labels": labels or options.get("labels") or True}
        data = loading.load_data({"data": options}, checkpoint)
    else:
        data = loading.load_folder(folder, options, labels=labels or True)
    if len(data.classes) < 2:
        raise UserError("a classifier needs images of at least two classes")
    return data


def images_and_groups(data: Any, split: str) -> tuple[Tensor, Tensor, list[bytes]]:
    """Return images uint8 (N, C, H, W), labels (N,), and the group of each image by which `split` divides them."""
    pixels = data.pixels[data.rows]
    groups = list(group_keys(split, data.names, pixels))
    return torch.as_tensor(pixels).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(data.labels[data.rows]), groups


def large_classes(
    labels: Tensor, classes: Sequence[str], least: int
) -> tuple[Tensor, Tensor, list[str], dict[str, int]]:
    """Leave out classes with fewer than `least` images.

    Returns:
        The rows to keep (K,), their labels (K,), the names of the classes that are left, and the number of images of
        each class that was left out.

    Raises:
        UserError: fewer than two classes are left.
    """
    counts = labels.bincount(minlength=len(classes)).tolist()
    kept = [label for label, count in enumerate(counts) if count >= least]
    small = {name: count for name, count in zip(classes, counts, strict=True) if count < least}
    if len(kept) < 2:
        raise UserError(
            f"fewer than two classes have at least {least} images, one for each of --folds: {list_classes(small)}; "
            "add images, or lower --folds"
        )
    rows = torch.isin(labels, torch.tensor(kept)).nonzero().flatten()
    return rows, torch.searchsorted(torch.tensor(kept), labels[rows]), [classes[label] for label in kept], small


def list_classes(counts: dict[str, int]) -> str:
    """Return classes and their numbers of images as text; a long list ends with the number of omitted classes."""
    return first_few([f"{one_line(name)} {count}" for name, count in counts.items()], MAX_LISTED)
