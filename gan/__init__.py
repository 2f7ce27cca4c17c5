"""GANs on folders of retro images. `gan.load("runs/NAME").sample(16)` draws; everything else is in the README."""

from __future__ import annotations

TYPE_CHECKING = False  # as typing has it, which takes longer to read than all else here
if TYPE_CHECKING:
    from gan.model import load as load

__all__ = ["load"]


def __getattr__(name: str) -> object:
    if name == "load":  # torch comes in when it is asked for: `gan --help` does without
        from gan.model import load

        return load
    raise AttributeError(f"module 'gan' has no attribute {name!r}")
