"""Find a model: a run folder, a checkpoint, a shared model, or zoo:NAME, hf://USER/NAME, s3://BUCKET/PATH. No torch."""

from __future__ import annotations

import difflib
import os
from pathlib import Path
from typing import Any

from gan.models.hub import HUB, download
from gan.models.shared_model import CONFIG, is_shared, weights_of
from gan.runs import checkpoints, remote, run_folder
from gan.utils.errors import UserError
from gan.utils.option_values import is_remote

ZOO = "zoo:"
# The models that come with the package, each in a folder written by `gan share`.
ZOO_FOLDER = Path(__file__).resolve().parent / "zoo"


def is_address(model: object) -> bool:
    return isinstance(model, str) and (model.startswith((ZOO, HUB)) or is_remote(model))


def locate(model: Any) -> Any:
    """Return the folder of a model that is given by an address; return any other value unchanged."""
    if not is_address(model):
        return model
    if is_remote(model):
        return remote.download(model)
    return zoo_folder(model) if model.startswith(ZOO) else download(model)


def locate_pretrained(model: str | os.PathLike[str], revision: str | None = None) -> Any:
    """Return the folder of a model on the Hub, USER/NAME, or of what `locate` takes. Arguments as in `gan.Model`."""
    place = model if is_address(model) or os.path.exists(model) else f"{HUB}{os.fspath(model)}"
    return locate(f"{place}@{revision}" if revision else place)


def with_addresses(text: str) -> str:
    """Return a path or a message in which the folders of such models are named by their addresses."""
    return remote.with_addresses(text.replace(f"{ZOO_FOLDER}{os.sep}", ZOO))


def name_of(folder: Path) -> str:
    """Return the address of a shared model that comes with the package or is on the Hub, or the name of its folder."""
    if folder.parent == ZOO_FOLDER:
        return f"{ZOO}{folder.name}"
    if folder.parent.name == "snapshots":  # in the cache of huggingface_hub: models--USER--NAME/snapshots/REVISION
        return HUB + folder.parent.parent.name.removeprefix("models--").replace("--", "/")
    return folder.resolve().name


# ---- files of a model


def is_model(path: Path) -> bool:
    return path.suffix == ".ckpt" or folder_of(path) is not None or is_shared(path)


def folder_of(path: Path) -> Path | None:
    """Return the run folder for results about a model; None if the path is not a run folder."""
    return path if (path / run_folder.CONFIG).is_file() else None


def checkpoint_of(model: str | os.PathLike[str], checkpoint: str = "best") -> Path:
    """Return the checkpoint file of a model, or the model.safetensors of a shared model.

    Args:
        checkpoint: "best" (the last one if there was no evaluation), "last" or the path of a file. It is ignored if the
            model is a checkpoint file or a shared model.
    """
    if isinstance(model, str | os.PathLike) and is_shared(Path(model)):
        return weights_of(Path(model))
    return checkpoints.find_checkpoint(model, checkpoint)


# ---- the zoo


def zoo_names() -> list[str]:
    return sorted(path.parent.name for path in ZOO_FOLDER.glob(f"*/{CONFIG}"))


def zoo_folder(address: str) -> Path:
    """Return the folder of a model, from zoo:NAME; raise UserError if there is no such model."""
    name = address.removeprefix(ZOO)
    if name in zoo_names():
        return ZOO_FOLDER / name
    raise UserError(f"{address}: no such model; choose from {', '.join(zoo_names())}")


def zoo_hint(name: str) -> str:
    """Return a hint such as `; did you mean zoo:press?` for a similar name; an empty string if none is similar."""
    near = difflib.get_close_matches(name.lower(), zoo_names(), n=1, cutoff=0.8)
    return f"; did you mean {ZOO}{near[0]}?" if near else ""
