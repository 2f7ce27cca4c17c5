"""Models that are given by an address in place of a path: zoo:NAME, hf://USER/NAME, s3://BUCKET/PATH. No torch."""

from __future__ import annotations

from typing import Any

from gan.common.object_store import is_remote
from gan.run import hub, remote_copies, zoo


def is_address(model: object) -> bool:
    """Return whether a model is given by an address."""
    return isinstance(model, str) and (model.startswith((zoo.SCHEME, hub.SCHEME)) or is_remote(model))


def locate(model: Any) -> Any:
    """Return the folder of a model that is given by an address; return any other value unchanged.

    Raises:
        UserError: there is no such model, or as `hub.download` and `remote_copies.download`.
    """
    if not is_address(model):
        return model
    if is_remote(model):
        return remote_copies.download(model)
    return zoo.folder_of(model) if model.startswith(zoo.SCHEME) else hub.download(model)


def with_addresses(text: str) -> str:
    """Return a path or a message in which the folders of such models are named by their addresses."""
    return remote_copies.with_addresses(zoo.with_addresses(text))
