"""Translate a picture of any size: padded to what the network takes, in parts where it is large, and cut back.

Parts overlap by what a pixel depends on, so they agree with each other and with the whole. Normalization by instance or
batch depends on all pixels: its statistics are measured over all parts first, layer after layer.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan.common.memory import available
from gan.images.convert import to_float, to_uint8
from gan.networks.tile_position import TilePosition

LEAST = 16  # pixels a side, which every translator takes
SMALLEST_TILE, LARGEST_TILE = 128, 2048  # pixels a side


class Part(NamedTuple):
    """A core, and the part of the picture around it that the core depends on: rows and columns."""

    rows: slice
    columns: slice
    seen_rows: slice
    seen_columns: slice

    def core(self, y: Tensor, scale: int = 1) -> Tensor:
        """The core of what was made of the part that is seen, at 1/scale of the size."""
        top, left = self.rows.start - self.seen_rows.start, self.columns.start - self.seen_columns.start
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        top, left, height, width = (side // scale for side in (top, left, height, width))
        return y[..., top : top + height, left : left + width]


def fitting_memory(network: Any) -> int:
    """A side of parts that take half of the memory there is, at most."""
    device = next(network.parameters()).device
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available()
    side = int((free / 2 / network.bytes_per_pixel) ** 0.5) - 2 * (network.receptive_radius or 0)
    return min(max(SMALLEST_TILE, side), LARGEST_TILE)


class Measured(Exception):
    """The layer that is measured has been reached."""


@torch.inference_mode()
def translate(network: Any, picture: Tensor, tile: int | None = None) -> Tensor:
    """uint8 (C, H, W) -> the same, of exactly the same size.

    Args:
        network: a translator in eval mode.
        tile: pixels a side, above which the picture is taken in parts; None takes it whole. A network in which every
            pixel depends on every other always does.

    Raises:
        MemoryError: there is not enough for a part, on whatever device.
    """
    height, width = picture.shape[1:]
    padded = pad(picture, network.multiple)
    parts = list(cut(padded.shape[1], padded.shape[2], tile, network.receptive_radius, network.multiple))
    device = next(network.parameters()).device

    def seen(part: Part) -> Tensor:
        return to_float(padded[None, :, part.seen_rows, part.seen_columns].to(device))

    out = torch.empty_like(padded)
    with memory_errors(), ExitStack() as hooks:
        if len(parts) > 1:
            hold_statistics(network, parts, seen, hooks)
        run = whole(network, picture, device)
        for part in parts:
            out[:, part.rows, part.columns] = to_uint8(part.core(run(seen(part), part)))[0].cpu()
    return out[:, :height, :width]


@contextmanager
def memory_errors() -> Iterator[None]:
    """Torch has an error of its own on a GPU, and on a CPU none but its words."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        raise


def translate_each(network: Any, pictures: Tensor) -> Tensor:
    """uint8 (N, C, H, W) -> the same, each picture whole and by itself, so that its company changes nothing."""
    return torch.stack([translate(network, picture) for picture in pictures])


def whole(network: Any, picture: Tensor, device: torch.device) -> Callable[[Tensor, Part], Tensor]:
    """The network as a function of parts: one to which it matters is told where they lie, one that looks at the whole
    picture is shown it, small, once."""
    if not hasattr(network, "forward_tile"):
        return lambda x, part: network(x)
    views = []
    if hasattr(network, "global_context"):
        small = interpolate(
            picture[None], (network.thumbnail_size, network.thumbnail_size), mode="bilinear", antialias=True
        )
        views = [network.global_context(to_float(small.to(device)))]
    height, width = picture.shape[1:]
    number = zlib.crc32(picture.contiguous().numpy().tobytes())  # so that frames of a video have each its own grain

    def run(x: Tensor, part: Part) -> Tensor:
        place = TilePosition(part.seen_rows.start, part.seen_columns.start, height, width, number)
        y: Tensor = network.forward_tile(x, place, *views)
        return y

    return run


def pad(picture: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples, and large enough."""
    rows, columns = (
        torch.arange(-(-max(LEAST, side) // multiple) * multiple).clamp(max=side - 1) for side in picture.shape[1:]
    )
    return picture if picture.shape[1:] == (len(rows), len(columns)) else picture[:, rows[:, None], columns]


def cut(height: int, width: int, tile: int | None, reach: int | None, multiple: int) -> Iterator[Part]:
    """Parts whose cores fill the picture; their edges are at multiples, or at the picture's own."""
    if tile is None or reach is None:
        yield Part(slice(0, height), slice(0, width), slice(0, height), slice(0, width))
        return
    step, halo = max(LEAST, tile // multiple * multiple), -(-reach // multiple) * multiple
    for rows, seen_rows in spans(height, step, halo):
        for columns, seen_columns in spans(width, step, halo):
            yield Part(rows, columns, seen_rows, seen_columns)


def spans(side: int, step: int, halo: int) -> Iterator[tuple[slice, slice]]:
    for first in range(0, side, step):
        last = min(first + step, side)
        yield slice(first, last), slice(max(0, first - halo), min(side, last + halo))


def hold_statistics(network: nn.Module, parts: list[Part], seen: Callable[[Part], Tensor], hooks: ExitStack) -> None:
    """Make each normalization use the mean and deviation of the whole picture, until the hooks are closed.

    A layer is measured with all before it held, so that what is measured is what the whole picture would give: as many
    passes as there are such layers, each up to its layer.
    """
    for norm in network.modules():
        if isinstance(norm, nn.InstanceNorm2d | nn.BatchNorm2d):
            mean, scale = statistics(network, norm, parts, seen)
            shift = 0 if norm.bias is None else norm.bias[:, None, None]
            hold = norm.register_forward_hook(lambda _, x, y, m=mean, s=scale, b=shift: (x[0] - m) * s + b)
            hooks.callback(hold.remove)


def statistics(
    network: nn.Module, norm: nn.InstanceNorm2d | nn.BatchNorm2d, parts: list[Part], seen: Callable[[Part], Tensor]
) -> tuple[Tensor, Tensor]:
    """Mean (1, C, 1, 1) of what comes to a layer, over the cores of all parts, and what it is multiplied by."""
    sums: list[Tensor] = []

    def measure(_: nn.Module, x: tuple[Tensor, ...]) -> None:
        core = part.core(x[0], scale=(part.seen_rows.stop - part.seen_rows.start) // x[0].shape[2])
        core = core.cpu().double()  # Apple's GPUs have no doubles
        count = core.new_full(core.shape[:2], core.shape[2] * core.shape[3])
        sums.append(torch.stack([count, core.sum((2, 3)), core.square().sum((2, 3))]))
        raise Measured

    hook = norm.register_forward_pre_hook(measure)
    try:
        for part in parts:
            with suppress(Measured):
                network(seen(part))
    finally:
        hook.remove()
    count, total, squares = torch.stack(sums).sum(0)
    mean = total / count
    variance = squares / count - mean.square()
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.cpu().double()
    like = next(network.parameters())
    return mean[..., None, None].to(like), scale[..., None, None].to(like)
