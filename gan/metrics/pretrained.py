"""Files of weights that others publish: what they are called, where they are looked for, whether they are right.

No torch, so that a command can say at once that a file is missing.
"""

from __future__ import annotations

import hashlib
import os
import urllib.request
from pathlib import Path
from typing import NamedTuple

from gan.common.errors import UserError
from gan.common.files import write_atomically


class MissingWeights(UserError):
    """A file of weights is not there; training goes on without what needs it."""


class Weights(NamedTuple):
    file: str
    url: str
    sha256: str
    size: int  # bytes


KNOWN = {
    "inception": Weights(
        "weights-inception-2015-12-05-6726825d.pth",
        "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/weights-inception-2015-12-05-6726825d.pth",
        "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
        95_628_359,
    ),
    "dinov2": Weights(
        "dinov2_vitl14_pretrain.pth",
        "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",
        "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428",
        1_217_586_395,
    ),
}


def hub() -> Path:
    """Where torch.hub keeps what it downloads, and other programs look."""
    base = os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "torch"
    return Path(base) / "hub" / "checkpoints"


def find(name: str, given: str | os.PathLike[str] | None = None, download: bool = False) -> Path:
    """The file of weights of KNOWN[name], its hash checked.

    Args:
        given: the file, or the folder that it is in; None looks in torch.hub's folder.
        download: fetch it into that folder where it is not there.

    Raises:
        MissingWeights: it is not there, or cannot be downloaded.
        UserError: it is not the file that is known.
    """
    weights = KNOWN[name]
    path = hub() if given is None else Path(given)
    if path.is_dir() or given is None:
        path = path / weights.file
    if not path.is_file():
        if not download:
            raise MissingWeights(
                f"{name} needs {weights.file} ({weights.size:,} bytes, sha256 {weights.sha256}), which is not in "
                f"{path.parent}: put it there; gan evaluate also takes --weights PATH, or --download to fetch "
                f"{weights.url}"
            )
        _download(weights, path)
    wrong = f"{path}: not the {name} weights that are known"
    try:
        if (size := path.stat().st_size) != weights.size:
            raise UserError(f"{wrong}: {size:,} bytes, {weights.size:,} are expected; remove it")
        with open(path, "rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error
    if digest != weights.sha256:
        raise UserError(f"{wrong}: sha256 {digest}, {weights.sha256} is expected; remove it")
    return path


def _download(weights: Weights, path: Path) -> None:
    print(f"downloading {weights.url} ({weights.size / 1e6:,.0f} MB) into {path.parent}", flush=True)
    try:
        with urllib.request.urlopen(weights.url, timeout=30) as answer:
            write_atomically(path, lambda file: [file.write(part) for part in iter(lambda: answer.read(1 << 20), b"")])
    except OSError as error:  # of the network or of the disk
        raise MissingWeights(f"{weights.url}: cannot be downloaded ({getattr(error, 'reason', error)})") from error
