"""GANs on folders of retro images. `gan.load("runs/NAME").sample(16)` generates images; see the README for the rest."""

from __future__ import annotations

TYPE_CHECKING = False  # defined here since importing typing takes longer than everything else in this file
if TYPE_CHECKING:
    from gan.model import load as load

__all__ = ["load"]


def __getattr__(name: str) -> object:
    if name == "load":  # imported on first use, since it needs torch and `gan --help` does not
        from gan.model import load

        return load
    raise AttributeError(f"module 'gan' has no attribute {name!r}")
