"""Feature extractors: the contract, those known by name, and how one is run.

An extractor is called with uint8 (N, C, H, W) and gives (N, dimension). Its attributes:

name        goes into the name of each number: eval/kid_lite0
dimension   numbers an image
resize      what is done to images first, in words
weights     SHA-256 of its file of weights, empty where there is none

Only the name must be there on one of the user's own.
"""

from __future__ import annotations

import hashlib
import importlib
import inspect
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan.common.errors import UserError

OWN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")  # module.Class
CHUNK = 16  # images a pass: with other numbers, kernels round otherwise
KNOWN = {
    "lite0": "gan.metrics.lite0.Lite0Features",
    "random_conv": "gan.metrics.random_conv.RandomConv",
    "inception": "gan.metrics.inception.Inception",
    "dinov2": "gan.metrics.dinov2.DINOv2",
}


def extractor(name: str, known_only: bool = False, **options: Any) -> Any:
    """A known extractor, or the user's own as module.Class, looked for from the current folder too.

    Args:
        known_only: for a name that a file holds and nobody typed: no module is imported for it but ours.

    Raises:
        UserError: there is none of that name, or it does not fit the contract.
        MissingWeights: its weights are not there.
    """
    kind = located(name, known_only)
    try:
        made = kind(**options)
    except UserError:
        raise
    except Exception as error:  # of the user's own code
        raise UserError(f"extractor {name}: cannot be made ({reason(error)})") from error
    return checked(made, name)


def located(name: str, known_only: bool = False) -> Any:
    """The class of a known extractor, or of the user's own; arguments and errors as of `extractor`."""
    if not (name in KNOWN or (OWN.fullmatch(name) and not known_only)):
        own = "" if known_only else ", or your own as module.Class"
        raise UserError(f"extractor {name}: not known; use {', '.join(KNOWN)}{own}")
    module, _, attribute = KNOWN.get(name, name).rpartition(".")
    if name not in KNOWN and os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (Exception, SystemExit) as error:  # a module of the user's own can raise anything, and end the process
        raise UserError(f"extractor {name}: cannot be loaded ({reason(error)})") from error
    if not isinstance(found, type):
        raise UserError(f"extractor {name}: is no class; name one that is called with images, as module.Class")
    return found


def reason(error: BaseException) -> str:
    """What an error says, in one line."""
    return " ".join(str(error).split()) or type(error).__name__


def checked(made: Any, name: str) -> Any:
    if not callable(made) or not isinstance(getattr(made, "name", None), str):
        raise UserError(f"extractor {name}: must be callable and have a `name`")
    return made


@torch.no_grad()
def features(extractor: Any, images: Tensor, advance: Callable[[int], None] = lambda done: None) -> Tensor:
    """uint8 (N, C, H, W) -> float32 (N, D) on the CPU, the same for an image whatever it is given together with.

    Args:
        advance: told of how many more images are done.

    Raises:
        UserError: what the extractor gives is not a row for each image.
    """
    device = next((p.device for p in parameters(extractor)), torch.device("cpu"))
    rows = []
    with torch.autocast(device.type, enabled=False), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        for part in images.split(CHUNK) if len(images) else ():
            padded = torch.cat([part, part[-1:].expand(CHUNK - len(part), -1, -1, -1)])
            found = given(extractor, padded.to(device))
            rows.append(found[: len(part)].float().cpu())
            advance(len(part))
    return torch.cat(rows) if rows else torch.empty(0, getattr(extractor, "dimension", 0))


def given(extractor: Any, images: Tensor) -> Tensor:
    """What an extractor gives for images; UserError where that is not a row for each, or it fails."""
    try:
        found = extractor(images)
    except (UserError, MemoryError):
        raise
    except Exception as error:
        if type(extractor).__module__.startswith("gan."):
            raise  # a mistake of ours
        raise UserError(f"extractor {extractor.name}: fails ({type(error).__name__}: {reason(error)})") from error
    if not isinstance(found, Tensor) or found.ndim != 2 or len(found) != len(images):
        shape = tuple(getattr(found, "shape", ())) or type(found).__name__
        raise UserError(f"extractor {extractor.name}: gave {shape} for {len(images)} images; a row each is needed")
    return found


def source(extractor: Any) -> tuple[str, ...]:
    """What tells its features from those of another of that name: weights, resize, code and device."""
    kind = type(extractor)
    try:
        code = hashlib.sha256(Path(inspect.getfile(kind)).read_bytes()).hexdigest()
    except (TypeError, OSError):  # defined in a notebook
        code = f"{kind.__module__}.{kind.__qualname__}"
    device = next((p.device.type for p in parameters(extractor)), "cpu")
    return getattr(extractor, "weights", ""), getattr(extractor, "resize", ""), code, device


def parameters(extractor: Any) -> Any:
    return extractor.parameters() if isinstance(extractor, torch.nn.Module) else ()
