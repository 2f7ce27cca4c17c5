"""Translate an image of any size: pad it, process large images in tiles, and crop the result.

Tiles overlap by the receptive field, so that the result is the same as without tiles. Instance and batch normalization
depend on all pixels, so that their statistics are computed first, over all tiles and layer by layer.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan.images.convert import to_float, to_uint8
from gan.networks.tile_position import TilePosition
from gan.utils.processes import available_memory
from gan.utils.video_state import from_first_frame, in_video, mean_over_frames

MIN_SIDE = 16  # side in pixels that every translator accepts
MIN_TILE, MAX_TILE = 128, 2048  # sides of tiles in pixels
Norm = nn.InstanceNorm2d | nn.BatchNorm2d


class Tile(NamedTuple):
    """The rows and columns of a tile's core, and those of the input on which the core depends."""

    rows: slice
    columns: slice
    input_rows: slice
    input_columns: slice

    def core(self, y: Tensor, scale: int = 1) -> Tensor:
        """Return the core of the output of a layer for the tile's input. The output has 1/scale of the size."""
        top, left = self.rows.start - self.input_rows.start, self.columns.start - self.input_columns.start
        height, width = self.rows.stop - self.rows.start, self.columns.stop - self.columns.start
        top, left, height, width = (side // scale for side in (top, left, height, width))
        return y[..., top : top + height, left : left + width]


def tile_for_memory(network: Any) -> int:
    """Return the largest side of tiles that need at most half of the available memory."""
    device = next(network.parameters()).device
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else available_memory()
    side = int((free / 2 / network.bytes_per_pixel) ** 0.5) - 2 * (network.receptive_radius or 0)
    return min(max(MIN_TILE, side), MAX_TILE)


class LayerReached(Exception):
    """Stops a forward pass at the layer whose statistics are computed."""


@torch.inference_mode()
def translate(network: Any, image: Tensor, tile: int | None = None) -> Tensor:
    """Return the translation uint8 (C, H, W) of an image uint8 (C, H, W), with the same size.

    Args:
        network: a translator in eval mode.
        tile: side in pixels above which the image is split into tiles; None never splits. Images are also not split if
            every output pixel of the network depends on all input pixels.

    Raises:
        MemoryError: a tile does not fit into the memory of the device.
    """
    height, width = image.shape[1:]
    padded = pad(image, network.multiple)
    tiles = list(split(padded.shape[1], padded.shape[2], tile, network.receptive_radius, network.multiple))
    device = next(network.parameters()).device

    def input_of(one: Tile) -> Tensor:
        return to_float(padded[None, :, one.input_rows, one.input_columns].to(device))

    out = torch.empty_like(padded)
    with memory_errors(), ExitStack() as hooks:
        if len(tiles) > 1:
            fix_statistics(network, tiles, input_of, hooks)
        elif in_video():
            average_statistics(network, hooks)
        run = tile_function(network, image, device)
        for one in tiles:
            out[:, one.rows, one.columns] = to_uint8(one.core(run(input_of(one), one)))[0].cpu()
    return out[:, :height, :width]


@contextmanager
def memory_errors() -> Iterator[None]:
    """Convert torch's out-of-memory errors to MemoryError. On a CPU, only the message of the error identifies them."""
    try:
        yield
    except RuntimeError as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise MemoryError(str(error)) from error
        raise


def set_shows_patches(networks: Iterable[Any], data: Any) -> None:
    """Set on networks and their color maps whether the images of a DataModule are patches, at unknown positions."""
    for module in (module for network in networks for module in network.modules()):
        if hasattr(module, "shows_patches"):
            module.shows_patches = getattr(data, "shows_patches", False)


def translate_each(network: nn.Module, images: Tensor) -> Tensor:
    """Return translations uint8 (N, C, H, W) of images uint8 (N, C, H, W). Each is independent of the other images."""
    return torch.stack([translate(network, image) for image in images])


def thumbnail(images: Tensor, side: int) -> Tensor:
    """Return images uint8 (N, C, H, W) as uint8 (N, C, side, side), as networks with `global_context` get them."""
    return interpolate(images, (side, side), mode="bilinear", antialias=True)


def tile_function(network: Any, image: Tensor, device: torch.device) -> Callable[[Tensor, Tile], Tensor]:
    """Return the network as a function of tiles.

    A network with `forward_tile` gets the position of each tile. One with `global_context` also gets the whole image
    once, downsampled.
    """
    if not hasattr(network, "forward_tile"):
        return lambda x, tile: network(x)
    views = []
    if hasattr(network, "global_context"):
        small = thumbnail(image[None], network.thumbnail_size)
        views = [mean_over_frames(network.global_context(to_float(small.to(device))))]
    height, width = image.shape[1:]
    # Without --steady, each frame of a video gets different grain.
    number = from_first_frame(zlib.crc32(image.contiguous().numpy().tobytes()))
    # The position of a patch is unknown. Any will do for noise and carriers, but not the same for all patches.
    top, left = divmod(number, 2**16) if getattr(network, "shows_patches", False) else (0, 0)

    def run(x: Tensor, tile: Tile) -> Tensor:
        place = TilePosition(top + tile.input_rows.start, left + tile.input_columns.start, height, width, number)
        return network.forward_tile(x, place, *views)

    return run


def pad(image: Tensor, multiple: int) -> Tensor:
    """Repeat the last row and column until both sides are multiples of `multiple` and at least MIN_SIDE."""
    rows, columns = (
        torch.arange(-(-max(MIN_SIDE, side) // multiple) * multiple).clamp(max=side - 1) for side in image.shape[1:]
    )
    return image if image.shape[1:] == (len(rows), len(columns)) else image[:, rows[:, None], columns]


def split(height: int, width: int, tile: int | None, reach: int | None, multiple: int) -> Iterator[Tile]:
    """Yield tiles whose cores cover the image. Their edges are at multiples of `multiple` or at edges of the image."""
    if tile is None or reach is None:
        yield Tile(slice(0, height), slice(0, width), slice(0, height), slice(0, width))
        return
    step, halo = max(MIN_SIDE, tile // multiple * multiple), -(-reach // multiple) * multiple
    for rows, input_rows in spans(height, step, halo):
        for columns, input_columns in spans(width, step, halo):
            yield Tile(rows, columns, input_rows, input_columns)


def spans(side: int, step: int, halo: int) -> Iterator[tuple[slice, slice]]:
    for first in range(0, side, step):
        last = min(first + step, side)
        yield slice(first, last), slice(max(0, first - halo), min(side, last + halo))


def is_tiled(network: Any, height: int, width: int, tile: int | None) -> bool:
    rows, columns = (-(-max(MIN_SIDE, side) // network.multiple) * network.multiple for side in (height, width))
    tiles = split(rows, columns, tile, network.receptive_radius, network.multiple)
    return len(list(islice(tiles, 2))) > 1


def fix_statistics(network: nn.Module, tiles: list[Tile], input_of: Callable[[Tile], Tensor], hooks: ExitStack) -> None:
    """Make each normalization layer use the mean and standard deviation of the whole image until `hooks` is closed.

    The statistics of a layer are computed when those of all earlier layers are fixed. This needs one pass per layer, up
    to that layer.
    """
    for norm in network.modules():
        if isinstance(norm, Norm):
            mean, variance = map(mean_over_frames, statistics(network, norm, tiles, input_of))
            hook = norm.register_forward_hook(lambda norm, x, y, m=mean, v=variance: normalized(norm, x[0], m, v))
            hooks.enter_context(hook)


def average_statistics(network: nn.Module, hooks: ExitStack) -> None:
    """Make each normalization layer use the means of its statistics over the frames of a video."""

    def normalize(norm: Norm, x: tuple[Tensor, ...], y: Tensor) -> Tensor:
        variance, mean = torch.var_mean(x[0].cpu().double(), (2, 3), correction=0)
        return normalized(norm, x[0], mean_over_frames(mean), mean_over_frames(variance))

    for norm in network.modules():
        if isinstance(norm, Norm):
            hooks.enter_context(norm.register_forward_hook(normalize))


def normalized(norm: Norm, x: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Return the output of a layer for an input (1, C, H, W) with the statistics (1, C), float64 on the CPU."""
    scale = (variance + norm.eps).rsqrt()
    if norm.weight is not None:
        scale = scale * norm.weight.cpu().double()
    shift = 0 if norm.bias is None else norm.bias[:, None, None]
    return (x - mean[..., None, None].to(x)) * scale[..., None, None].to(x) + shift


def statistics(
    network: nn.Module, norm: Norm, tiles: list[Tile], input_of: Callable[[Tile], Tensor]
) -> tuple[Tensor, Tensor]:
    """Return the mean and the variance (1, C) of a layer's input over the cores of all tiles."""
    sums = []
    for tile in tiles:
        x = layer_input(network, norm, input_of(tile))
        core = tile.core(x, scale=(tile.input_rows.stop - tile.input_rows.start) // x.shape[2])
        core = core.cpu().double()  # MPS has no float64
        count = core.new_full(core.shape[:2], core.shape[2] * core.shape[3])
        sums.append(torch.stack([count, core.sum((2, 3)), core.square().sum((2, 3))]))
    count, total, squares = torch.stack(sums).sum(0)
    mean = total / count
    return mean, squares / count - mean.square()


def layer_input(network: nn.Module, layer: nn.Module, x: Tensor) -> Tensor:
    """Return what a layer of a network gets for an input x. The forward pass stops there."""
    inputs: list[Tensor] = []

    def stop(_: nn.Module, arguments: tuple[Tensor, ...]) -> None:
        inputs.append(arguments[0])
        raise LayerReached

    with layer.register_forward_pre_hook(stop), suppress(LayerReached):
        network(x)
    return inputs[0]
