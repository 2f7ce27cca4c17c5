"""Find a model: a run folder, a checkpoint, a shared model, or zoo:NAME, hf://USER/NAME, s3://BUCKET/PATH. No torch."""

from __future__ import annotations

import difflib
import os
import re
import sys
from pathlib import Path
from typing import Any

from gan.models.shared_model import CONFIG, WEIGHTS, is_shared, weights_of
from gan.runs import checkpoints, remote, run_folder
from gan.utils.errors import UserError, install, to_line
from gan.utils.option_values import is_remote
from gan.utils.untrusted import MAX_JSON

ZOO, HUB = "zoo:", "hf://"
# The models that come with the package, each in a folder written by `gan share`.
ZOO_FOLDER = Path(__file__).resolve().parent / "zoo"
NAME = r"[A-Za-z0-9][\w.-]{0,95}"
HUB_ADDRESS = re.compile(rf"{HUB}({NAME}/{NAME})(?:@([\w.-][\w./-]{{0,200}}))?", re.ASCII)
LIMITS = {CONFIG: MAX_JSON, WEIGHTS: 4 << 30}  # maximum sizes of the files of a model on the Hub, in bytes


def is_address(model: object) -> bool:
    """Return whether a model is given by an address."""
    return isinstance(model, str) and (model.startswith((ZOO, HUB)) or is_remote(model))


def locate(model: Any) -> Any:
    """Return the folder of a model that is given by an address; return any other value unchanged."""
    if not is_address(model):
        return model
    if is_remote(model):
        return remote.download(model)
    return zoo_folder(model) if model.startswith(ZOO) else download(model)


def with_addresses(text: str) -> str:
    """Return a path or a message in which the folders of such models are named by their addresses."""
    return remote.with_addresses(text.replace(f"{ZOO_FOLDER}{os.sep}", ZOO))


# ---- files of a model


def is_model(path: Path) -> bool:
    """Return whether a path is a model: a checkpoint file, a run folder or a shared model."""
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
    """Return the names of the models that come with the package, sorted."""
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


# ---- the Hugging Face Hub


def download(address: str) -> Path:
    """Return the folder of a model on the Hub in the cache of huggingface_hub; without a connection, an older copy."""
    parts = HUB_ADDRESS.fullmatch(address)
    if parts is None or ".." in address:
        raise UserError(f"{address}: is not the name of a model; give hf://USER/NAME or hf://USER/NAME@REVISION")
    try:
        import huggingface_hub as hub
        from huggingface_hub import errors
    except ImportError as error:
        raise UserError(f"{address}: needs the huggingface_hub library: {install('hub')}") from error
    repository, revision = parts[1], parts[2]
    try:
        urls = {name: hub.hf_hub_url(repository, name, revision=revision) for name in LIMITS}
        sizes: dict[str, Any] = {name: hub.get_hf_file_metadata(url).size for name, url in urls.items()}
    except errors.HfHubHTTPError as error:
        raise failed(address, error) from error
    except Exception:  # networks and proxies raise many kinds of error
        sizes = {}  # the cache may have a copy
    for name, size in sizes.items():
        if size is None or size > LIMITS[name]:
            raise UserError(f"{address}: its {name} is too large; the limit is {LIMITS[name]:,} bytes")
    # Lines go to stderr, because standard output may be a table or JSON.
    if sizes and not isinstance(hub.try_to_load_from_cache(repository, WEIGHTS, revision=revision), str):
        print(f"downloading {address}, {sizes[WEIGHTS] / (1 << 20):.1f} MiB", file=sys.stderr, flush=True)
    try:
        config = Path(hub.hf_hub_download(repository, CONFIG, revision=revision, local_files_only=not sizes))
        hub.hf_hub_download(repository, WEIGHTS, revision=config.parent.name, local_files_only=not sizes)
    except Exception as error:  # networks, proxies and disks raise many kinds of error
        raise failed(address, error) from error
    if not sizes:
        print(f"{address}: the Hub cannot be reached; using the copy in the cache", file=sys.stderr)
    return config.parent


def failed(address: str, error: Exception) -> UserError:
    """Return the error for a model that cannot be downloaded, with the reason that huggingface_hub gives."""
    reason = to_line(error) or type(error).__name__
    return UserError(f"{address}: cannot be downloaded; check the name, or run hf auth login ({reason})")
