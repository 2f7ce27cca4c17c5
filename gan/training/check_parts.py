"""Check that the parts of a model fulfill `gan.contracts` and fit each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gan.common.errors import UserError
from gan.contracts import Augment, Discriminator, Loss, Penalty, check


def check_parts(generator: Any, discriminator: Any, loss: Any, penalties: Mapping[str, Any], augment: Any) -> None:
    """Raise UserError if a part lacks a member of its contract, or if two parts are incompatible."""
    check(discriminator, Discriminator, "model.discriminator")
    check(loss, Loss, "loss")
    for name, penalty in penalties.items():
        check(penalty, Penalty, f"penalty.{name}")
    if augment is not None:
        check(augment, Augment, "augment")
    head, required = getattr(discriminator, "head", None), getattr(loss, "requires_head", None)
    head = head if isinstance(head, str) else None  # else a layer of that name
    if required != head:
        raise UserError(
            f"loss {type(loss).__name__} needs model.discriminator.head={required or 'null'}, "
            f"but {type(discriminator).__module__} has head={head or 'null'}"
        )
    if hasattr(augment, "feedback") and not getattr(loss, "signed_logits", True):
        raise UserError(
            f"augment=ada adapts to the sign of D(real), which has no meaning with loss {type(loss).__name__}; "
            "use augment=r3gan or augment=diffaugment"
        )
