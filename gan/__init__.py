"""GANs on folders of retro images. `gan.load("runs/NAME").sample(16)` generates images; see the README for the rest."""

from __future__ import annotations

TYPE_CHECKING = False  # defined here, because importing typing takes longer than the rest of this file
if TYPE_CHECKING:
    from gan.model import load as load

__all__ = ["load"]


def __getattr__(name: str) -> object:
    if name == "load":  # imported on first use, because it imports torch, which `gan --help` does not need
        from gan.model import load

        return load
    raise AttributeError(f"module 'gan' has no attribute {name!r}")
