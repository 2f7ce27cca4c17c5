"""Load labeled images for `gan recognize` from a folder or from a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.common.errors import UserError
from gan.data.split import group_keys
from gan.inference import loading


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
