"""The last layers that the option `head` of a discriminator selects."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from gan.common.errors import UserError
from gan.networks.san import SANHead

HEADS = {"san": SANHead}


def make_head(head: str | None, features: int, classes: int, default: Callable[[], nn.Module]) -> nn.Module:
    """Return a discriminator's last layer.

    Args:
        head: a name in HEADS, or None for `default()`. A loss declares the head that it needs as `requires_head`.
        features: number of inputs of the layer.
        classes: number of classes; 0 for an unconditional discriminator. A named head takes (features, label) and
            conditions on the label itself.

    Raises:
        UserError: the name is unknown.
    """
    if head is None:
        return default()
    if head not in HEADS:
        raise UserError(f"model.discriminator.head={head}: unknown head; use null or {', '.join(HEADS)}")
    return HEADS[head](features, classes)
