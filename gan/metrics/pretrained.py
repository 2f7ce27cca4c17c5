"""Find, verify and download published files of weights.

This module does not import torch, so that a command can report a missing file at once.
"""

from __future__ import annotations

import hashlib
import os
import urllib.request
from pathlib import Path
from typing import NamedTuple

from gan.utils.errors import UserError
from gan.utils.files import write_atomically


class MissingWeights(UserError):
    """A file of weights is missing. Training continues without the metrics that need it."""


class Weights(NamedTuple):
    url: str
    sha256: str
    size: int  # bytes

    @property
    def file(self) -> str:
        return self.url.rpartition("/")[2]


KNOWN = {
    "inception": Weights(
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        95_628_359,
    ),
    "dinov2": Weights(
        "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
        1_217_586_395,
    ),
}


def hub() -> Path:
    """Return torch.hub's folder of downloads, which other programs share."""
    base = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "torch"
    return Path(base) / "hub" / "checkpoints"


def find(name: str, given: str | os.PathLike[str] | None = None, download: bool = False) -> Path:
    """Return the path of the weights of KNOWN[name] after verifying their hash.

    Args:
        given: the file or its folder; None for torch.hub's folder.
        download: download the file into that folder if it is missing.

    Raises:
        MissingWeights: the file is missing, or cannot be downloaded.
        UserError: the file has another hash.
    """
    weights = KNOWN[name]
    path = hub() if given is None else Path(given)
    if path.is_dir() or given is None:
        path = path / weights.file
    if not path.is_file():
        if not download:
            raise MissingWeights(
                f"{name} needs {weights.file} ({weights.size:,} bytes, sha256 {weights.sha256}), which is not in "
                f"{path.parent}; put it there, or use gan evaluate --weights PATH, or use --download to download "
                f"{weights.url}"
            )
        _download(weights, path)
    with open(path, "rb") as file:
        if path.stat().st_size == weights.size and hashlib.file_digest(file, "sha256").hexdigest() == weights.sha256:
            return path
    raise UserError(f"{path}: not the expected {name} weights, which have sha256 {weights.sha256}; remove the file")


def _download(weights: Weights, path: Path) -> None:
    print(f"downloading {weights.url} ({weights.size / 1e6:,.0f} MB) into {path.parent}", flush=True)
    try:
        with urllib.request.urlopen(weights.url, timeout=30) as answer:
            write_atomically(path, lambda file: [file.write(part) for part in iter(lambda: answer.read(1 << 20), b"")])
    except OSError as error:  # an error of the network or of the disk
        raise MissingWeights(f"{weights.url}: cannot be downloaded ({getattr(error, 'reason', error)})") from error
