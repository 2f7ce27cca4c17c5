"""Files of torch.export, for PyTorch without this package.

`torch.export.load` may run code that is in a file. Load only files that you made or trust.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.export import ExportedProgram

from gan.sharing.export.parts import Part, as_tuple
from gan.sharing.export.trace import quiet


def encode(part: Part, program: ExportedProgram, about: Mapping[str, str]) -> bytes:
    """Return the bytes of a file; the metadata are extra files in it."""
    file = io.BytesIO()
    with quiet():
        torch.export.save(program, file, extra_files=dict(about))
    return file.getvalue()


def open_file(data: bytes, part: Part) -> Callable[..., tuple[Tensor, ...]]:
    """Return the function of a file that `encode` made in this process."""
    with quiet():
        module = torch.export.load(io.BytesIO(data)).module()

    def run(*inputs: Tensor) -> tuple[Tensor, ...]:
        with torch.no_grad():
            return as_tuple(module(*inputs))

    return run
