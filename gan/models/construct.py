"""Build networks and data by name from the configuration in a checkpoint, which may be untrusted."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)

from gan import networks
from gan.data import sources
from gan.utils import code
from gan.utils.errors import UserError
from gan.utils.output import one_line
from gan.utils.untrusted import MAX_OPTION

DATA = (
    "gan.data.module.ImageDataModule",
    "gan.data.stream.StreamingDataModule",
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
MAX_UNSAVED = 1 << 26  # numbers in the buffers of a network that checkpoints do not have


def section(config: Any, names: tuple[str, ...], path: Path) -> dict[str, Any]:
    """Return a section of a checkpoint's configuration; raise UserError if there is none."""
    try:
        for name in names:
            config = config[name]
        return dict(config)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: has no configuration of {names[-1]}") from error


def network_builder(config: Any, role: str, path: Path) -> Callable[[], Any]:
    """Return a function that builds the network of gan.networks that a configuration names for a role."""
    return partial(construct, section(config, ("model", role), path), partial(network_class, role), role, path)


@contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """Raise UserError if networks that are built in the context have more numbers than the weights of their file.

    The configuration of an untrusted file may describe a network of any size. A layer is counted when it has memory,
    before it is initialized.
    """
    left = 2 * numbers + MAX_UNSAVED  # a parametrization registers a weight again

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal left
        left -= 0 if tensor is None else tensor.numel()
        if left < 0:
            raise UserError("its weights do not fit its configuration, which describes a larger network")

    hooks = [register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count)]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def construct(
    node: dict[str, Any], allowed: Callable[[str], Any], what: str, path: Path, largest: int = MAX_OPTION
) -> Any:
    """Build the object that `_target_` and options in a configuration describe.

    Args:
        allowed: returns the object with a name, or None if it must not be called.
        largest: largest number that is allowed as an option.

    Raises:
        UserError: the target is not allowed, or cannot be built with these options.
    """
    options = {}
    for name, value in node.items():
        if isinstance(value, dict):
            options[name] = construct(value, allowed, f"{what}.{name}", path, largest)
        elif not name.startswith("_"):
            options[name] = value
            for number in value if isinstance(value, list | tuple) else [value]:
                if isinstance(number, int | float) and not abs(number) <= largest:
                    raise UserError(f"{path}: its {what}.{name} is out of range: the largest number is {largest:,}")
    target = str(node.get("_target_"))
    factory = allowed(target)
    if factory is None:
        raise UserError(f"{path}: names {one_line(target)} as its {what}; {reason_to_refuse(one_line(target))}")
    try:
        return factory(**options)
    except Exception as error:  # options of the wrong type cause any kind of error
        raise UserError(f"{path}: its {what} cannot be built: {one_line(' '.join(str(error).split()))}") from error


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
    if (own := code.own_class(target)) is not None:
        return own if issubclass(own, nn.Module) else None
    module, _, name = target.rpartition(".")
    return class_in(networks, module, name) if name in ROLES[role] else None


def data_class(target: str) -> Any:
    """Return a class of DATA, of the user's own code, or of gan.data.sources that reads no untrusted files, or None."""
    if (own := code.own_class(target)) is not None:
        return own
    module, _, name = target.rpartition(".")
    if target in DATA:
        return getattr(importlib.import_module(module), name)
    found = class_in(sources, module, name)
    return found if getattr(found, "trusted", False) is True else None


def class_in(package: Any, module: str, name: str) -> type | None:
    """Return the class of this name that a module directly in a package defines; None if there is none."""
    if module not in {f"{package.__name__}.{each.name}" for each in pkgutil.iter_modules(package.__path__)}:
        return None
    found = getattr(importlib.import_module(module), name, None)
    return found if isinstance(found, type) and found.__module__ == module else None
