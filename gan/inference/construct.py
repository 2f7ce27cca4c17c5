"""Build networks and data by name from the configuration in a checkpoint, which may be untrusted."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from torch import nn

from gan import networks
from gan.common import code
from gan.common.errors import UserError
from gan.common.output import one_line
from gan.data import sources
from gan.inference import blueprint

DATA = (
    "gan.data.module.ImageDataModule",
    "gan.data.shards.stream.StreamingDataModule",
    "gan.data.sources.huggingface.data_module",
    "gan.data.sources.torchvision.TorchvisionDataset",
    "gan.data.translation.UnpairedDataModule",
    "gan.data.translation.PairedDataModule",
    "gan.data.translation.StyledDataModule",
)
ROLES = {
    "generator": ("Generator", "Bidirectional"),
    "discriminator": ("Discriminator", "Bidirectional"),
}  # names of classes


def section(config: Any, names: tuple[str, ...], path: Path) -> dict[str, Any]:
    """Return a section of a checkpoint's configuration.

    Raises:
        UserError: the configuration has no such section.
    """
    try:
        for name in names:
            config = config[name]
        return dict(config)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: has no configuration of {names[-1]}") from error


def network_builder(config: Any, role: str, path: Path) -> Callable[[], Any]:
    """Return a function that builds the network of gan.networks that a configuration names for a role."""
    return partial(construct, section(config, ("model", role), path), partial(network_class, role), role, path)


def construct(
    node: dict[str, Any],
    allowed: Callable[[str], Any],
    what: str,
    path: Path,
    largest: int = blueprint.MAX_NUMBER,
) -> Any:
    """Build the object that `_target_` and options in a configuration describe.

    Args:
        allowed: returns the object with a name, or None if it must not be called.
        largest: largest integer that is allowed as an option.

    Raises:
        UserError: the target is not allowed, or cannot be built with these options.
    """
    if what.count(".") > blueprint.MAX_DEPTH:
        raise UserError(f"{path}: its {what} is nested too deeply")
    options = {}
    for name, value in node.items():
        if isinstance(value, dict):
            options[name] = construct(value, allowed, f"{what}.{name}", path, largest)
        elif reason := blueprint.invalid_option(f"{what}.{name}", value, largest):
            raise UserError(f"{path}: its {reason}")
        elif not name.startswith("_"):
            options[name] = value
    target = str(node.get("_target_"))
    found = allowed(target)
    if found is None:
        raise UserError(f"{path}: names {one_line(target)} as its {what}; {reason_to_refuse(one_line(target))}")
    try:
        return found(**options)
    except UserError as error:
        raise UserError(f"{path}: its {what} cannot be built: {one_line(str(error))}") from error
    except Exception as error:
        raise UserError(f"{path}: its {what} cannot be built: {' '.join(str(error).split())}") from error


def reason_to_refuse(target: str) -> str:
    """Return why a class is not built, and what to do if it is the user's own."""
    if code.is_own(target):
        return f"it is not a network or a source of {code.described()}"
    if target.partition(".")[0] in ("gan", "None", "") or "." not in target:
        return "only classes of gan itself are built"
    return f"only classes of gan itself are built; {code.advice(target)}"


def network_class(role: str, target: str) -> Any:
    """Return a class of gan.networks, or a network in the user's own code, that can have a role; otherwise None.

    A dotted name could lead to any object through the imports of a module. Therefore only classes defined in the module
    itself are returned, and only modules of gan.networks and of --code are imported.
    """
    module, _, name = target.rpartition(".")
    own = code.own_class(target)
    if own is not None:
        return own if issubclass(own, nn.Module) else None
    ours = {f"gan.networks.{found.name}" for found in pkgutil.iter_modules(networks.__path__)}
    if module not in ours or name not in ROLES[role]:
        return None
    found = getattr(importlib.import_module(module), name, None)
    return found if isinstance(found, type) and found.__module__ == module else None


def data_class(target: str) -> Any:
    """Return a class of DATA, of the user's own code, or of gan.data.sources that reads no untrusted files, or None."""
    module, _, name = target.rpartition(".")
    if (own := code.own_class(target)) is not None:
        return own
    if target in DATA:
        return getattr(importlib.import_module(module), name)
    if module not in {f"{sources.__name__}.{file.name}" for file in pkgutil.iter_modules(sources.__path__)}:
        return None
    found = getattr(importlib.import_module(module), name, None)
    allowed = isinstance(found, type) and found.__module__ == module and getattr(found, "trusted", False) is True
    return found if allowed else None
