"""Parse NAME=VALUE, as in `--set sefa0=2`."""

from __future__ import annotations

import math
from collections.abc import Iterable

from gan.common.errors import UserError


def parse_assignments(words: Iterable[str], example: str, where: str = "--set ") -> dict[str, float]:
    """Return the values by name: ["sefa0=2", "pca1=-.5"] -> {"sefa0": 2.0, "pca1": -0.5}.

    Args:
        example: such as "sefa0=2", for messages.
        where: what precedes a word where the user types it, for messages.

    Raises:
        UserError: a word has another form, its value is not a finite number, or a name is given twice.
    """
    found: dict[str, float] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise UserError(f"{where}{word}: write NAME=VALUE, as in {example}")
        if name in found:
            raise UserError(f"{where}{word}: {name} is given twice")
        try:
            found[name] = float(value)
        except ValueError:
            raise UserError(f"{where}{word}: {value or 'nothing'} is not a number; write it as in {example}") from None
        if not math.isfinite(found[name]):
            raise UserError(f"{where}{word}: give a finite number")
    return found
