"""What the page shows. No Gradio, whose environment is set before its import."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from gan.networks.transfer.choose import Choice
    from gan.sharing.demo.shown import Shown


class Fitted(NamedTuple):
    """A color map that `gan demo --fit` has fitted, and its two folders in one line."""

    choice: Choice
    name: str


class Content(NamedTuple):
    """What the page shows.

    Attributes:
        models: each has tabs of its own.
        without_model: whether there are tabs that need no model.
        fitted: the color map with which the tab Color map starts; None for none.
    """

    models: Sequence[Shown] = ()
    without_model: bool = False
    fitted: Fitted | None = None
