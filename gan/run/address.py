"""Models that are given by an address in place of a path: zoo:NAME and hf://USER/NAME. No torch."""

from __future__ import annotations

from typing import Any

from gan.run import hub, zoo


def is_address(model: object) -> bool:
    """Return whether a model is given by an address."""
    return isinstance(model, str) and model.startswith((zoo.SCHEME, hub.SCHEME))


def locate(model: Any) -> Any:
    """Return the folder of a model that is given by an address; return any other value unchanged.

    Raises:
        UserError: there is no such model, or as `hub.download`.
    """
    if not is_address(model):
        return model
    return zoo.folder_of(model) if model.startswith(zoo.SCHEME) else hub.download(model)
