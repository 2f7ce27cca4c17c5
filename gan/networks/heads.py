"""The last layers that a discriminator's option `head` selects."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from gan.common.errors import UserError
from gan.networks.san import SANHead

HEADS = {"san": SANHead}


def make_head(head: str | None, features: int, classes: int, default: Callable[[], nn.Module]) -> nn.Module:
    """Return a discriminator's last layer.

    Args:
        head: a name in HEADS, or None for `default()`. A loss names the head that it needs in `requires_head`.
        features: inputs of the layer.
        classes: of a conditional discriminator, 0 for none. A named head takes (features, label) and does the
            conditioning itself.

    Raises:
        UserError: the name is unknown.
    """
    if head is None:
        return default()
    if head not in HEADS:
        raise UserError(f"model.discriminator.head={head}: unknown head; use null or {', '.join(HEADS)}")
    return HEADS[head](features, classes)
