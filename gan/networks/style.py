"""A translator for any style: a color map, then shaped noise or a drawing in inks, and a small network."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gan.networks.closed_form.carriers import find_carriers
from gan.networks.closed_form.color_map import ColorMap, ReadsBuffers, premultiply, unpremultiply
from gan.networks.closed_form.image_statistics import luminance
from gan.networks.closed_form.inks import to_levels
from gan.networks.closed_form.shaped_noise import KERNEL, ShapedNoise
from gan.networks.closed_form.texture_network import ANGLES, TextureNetwork
from gan.networks.tile_position import TilePosition, noise_planes, without_margin

LEAK = 0.1  # slope of the output outside of [-1, 1]
STAGES = ("color", "noise", "drawing", "network", "finished")
LEARNED = STAGES[3:]
CHANNELS = 3  # planes of white noise for shaped noise, after the plane of the network
OPAQUE = 1 - 1 / 255  # alpha from which on a pixel is opaque
CHUNK = 50  # images that are mapped together
FEWEST = 100  # windows for fitting a drawing
WINDOWS = 240  # of inputs, for choosing the settings of a drawing
HOPELESS = 1.5  # skip the search for flat areas if their distance to targets exceeds that of the others by this factor
BETTER = 0.8  # a drawing is used if its distance to targets is at most this fraction of that of the others


class Generator(ReadsBuffers):
    """Images (N, C, H, W) -> translations of the same size, nominally in [-1, 1]; C is 1, 3 or 4 (premultiplied RGBA).

    Initially it returns the image. After `fit`, before training, it returns the drawing in inks if there is one, else
    the color-mapped image, with shaped noise if `grain` is true.

    Args:
        grain: whether the network adds to the image with shaped noise. None: `fit` decides, true if there are no
            carriers and no flow lines, and shaped noise lowers the distance. It has no effect if there is a drawing.

    Attributes:
        stage: what is returned in eval mode: "color" (the color map), "noise" (and shaped noise), "drawing" (in inks),
            "network" (the drawing, or one of the first two, and the network), or "finished" (and the color map
            `finish`, which is fitted to outputs of the network and to targets, see `gan.evaluation.stages`). Set it
            with `set_stage`. In training mode it is "network".
        shows_patches: whether images are patches of files, at unknown positions. A color map that varies with the
            position then uses its mean.
        noise_margin: number of pixels around a tile for which it needs noise.
        multiple: height and width of images must be multiples of this number.
        receptive_radius: number of pixels around a tile on which its output depends.
        bytes_per_pixel: estimate of the memory of a forward pass.
    """

    stage_index: Tensor
    grainy: Tensor
    multiple = 1
    shows_patches = False

    def __init__(
        self, channels: int = 3, width: int = 24, n_layers: int = 3, carriers: int = 12, grain: bool | None = None
    ) -> None:
        super().__init__()
        self.start = ColorMap()
        self.shaped_noise = ShapedNoise()
        self.finish = ColorMap()
        self.texture = TextureNetwork(carriers, width, n_layers)
        self.channels, self.grain = channels, grain
        self.register_buffer("stage_index", torch.zeros((), dtype=torch.int64))
        self.register_buffer("grainy", torch.zeros((), dtype=torch.bool))
        self.set_stage("network", bool(grain))
        self.noise_margin = max(KERNEL // 2, self.texture.noise_margin)
        self.bytes_per_pixel = 8 * (width + 2 * carriers + 3 * KERNEL)

    @property
    def receptive_radius(self) -> int:
        return self.shaped_noise.receptive_radius + self.texture.receptive_radius

    def set_stage(self, stage: str, adds_to_grain: bool | None = None) -> None:
        """Set what is returned (STAGES), and whether the network adds to the image with shaped noise (None: as before).

        Both are also buffers, so that they are saved.
        """
        self.stage = stage
        self.stage_index.fill_(STAGES.index(stage))
        if adds_to_grain is not None:
            self.adds_to_grain = adds_to_grain
            self.grainy.fill_(adds_to_grain)

    def read_buffers(self) -> None:
        self.set_stage(STAGES[int(self.stage_index)], bool(self.grainy))

    @property
    def stages(self) -> tuple[str, ...]:
        """Return the stages that differ."""
        return tuple(stage for stage in STAGES if stage != "drawing" or self.texture.inks.count)

    @torch.no_grad()
    def fit(self, a: Tensor, b: Tensor, distance: Callable[[Tensor], float] | None = None) -> None:
        """Fit shaped noise, carriers, flow lines and the drawing to windows uint8 (N, C, s, s) of inputs and targets.

        The color map must be fitted before. Only opaque windows are used, except for `distance`. With fewer than two of
        a side, nothing changes.

        Args:
            distance: returns the distance of images uint8 (N, C, s, s) to targets, for choosing shaped noise and a
                drawing; None: no drawing.
        """
        inputs, targets = opaque_windows(a), opaque_windows(b)
        if min(len(inputs), len(targets)) < 2:
            return
        mapped = torch.cat([self.colored(part, TilePosition.whole(part)) for part in inputs.split(CHUNK)])
        self.shaped_noise.fit(mapped, targets)
        carriers = find_carriers(mapped, targets, self.texture.frequencies.shape[1])
        self.texture.flow_lines.fit(inputs, mapped, targets, carriers)
        has_lines = self.texture.flow_lines.cycles > 0
        self.texture.set_carriers(carriers[:0] if has_lines else carriers)  # parallel lines have peaks like carriers
        periodic = len(carriers) > 0 or has_lines
        self.set_stage(self.stage, not periodic if self.grain is None else self.grain)
        if distance is None or len(inputs) < FEWEST or (periodic and not has_lines):
            return
        color, noise = (self.stage_distance(stage, a[:WINDOWS], distance) for stage in ("color", "noise"))
        if self.grain is None and noise > color:
            self.set_stage(self.stage, False)
        self.fit_inks(inputs, targets, distance, min(color, noise))

    def stage_distance(self, stage: str, images: Tensor, distance: Callable[[Tensor], float]) -> float:
        """Return the distance of what a stage makes of images uint8 (N, C, s, s)."""
        before, was_training = self.stage, self.training
        self.eval()
        self.set_stage(stage)
        made = torch.cat([self(part) for part in (images.float() / 127.5 - 1).split(CHUNK)])
        self.set_stage(before)
        self.train(was_training)
        return distance(to_levels(made))

    def fit_inks(self, inputs: Tensor, targets: Tensor, distance: Callable[[Tensor], float], others: float) -> None:
        """Fit a drawing in inks, and keep it if it is much nearer to the targets than `others`, the other closed forms.

        Args:
            inputs, targets: windows (N, 3, s, s) in [-1, 1].
        """
        inks, lines = self.texture.inks, self.texture.flow_lines

        def waves_of(angle: float) -> Tensor:
            lines.set_angles(0.0, angle or ANGLES[1])
            parts = luminance(inputs[:WINDOWS]).split(CHUNK)
            position = TilePosition.whole(inputs)
            return torch.cat([lines(part, random_noise(part), position) for part in parts])

        inks.fit_colors(inputs, targets, self.start, lines.cycles > 0)
        toned = self.toned(inputs[:WINDOWS], TilePosition.whole(inputs))
        limit = math.inf if lines.cycles else HOPELESS * others  # settings change lines much more than areas
        own = inks.fit_settings(toned, waves_of, lines.cycles, lambda made: distance(to_levels(made)), limit)
        lines.set_angles(0.0, inks.settings["hatching"] or ANGLES[1])
        if own > BETTER * others:
            inks.set_settings(inks.settings, 0)

    def content(self, x: Tensor) -> Tensor:
        """Return images (N, C, H, W) whose blur translations have to keep: color-mapped, or tones of the drawing."""
        color, alpha = unpremultiply(x)
        position, inks = TilePosition.whole(x), self.texture.inks
        if inks.count:
            y = inks.tones(self.toned(color, position), self.texture.flow_lines.cycles)
        else:
            y = self.colored(color, position)
        return premultiply(y, alpha, self.channels)

    def toned(self, color: Tensor, position: TilePosition) -> Tensor:
        """Return colors (N, 3, h, w) in [-1, 1] after the color map of the drawing."""
        y: Tensor = self.texture.inks.tone.forward_tile(color, position)
        return y

    def colored(self, color: Tensor, position: TilePosition) -> Tensor:
        """Return colors (N, 3, h, w) in [-1, 1] after the color map `start`."""
        y: Tensor = self.start.forward_tile(color, position)
        return y

    @property
    def is_learned(self) -> bool:
        """Whether the network adds to the image."""
        return self.training or self.stage in LEARNED

    @property
    def is_grainy(self) -> bool:
        return not self.is_drawn and (self.adds_to_grain if self.is_learned else self.stage == "noise")

    @property
    def is_drawn(self) -> bool:
        """Whether the image is a drawing in inks, which the network may have changed."""
        return self.texture.inks.count > 0 and (self.is_learned or self.stage == "drawing")

    @property
    def noise_numbers(self) -> range:
        """The numbers of the planes of noise in eval mode: 0 for lines and the network, then those of shaped noise."""
        return range(0 if self.is_learned or self.is_drawn else 1, 1 + CHANNELS * self.is_grainy)

    def forward_tile(self, x: Tensor, position: TilePosition, noise: Tensor | None = None) -> Tensor:
        """Translate tiles (N, C, h, w) at a position of the image.

        Args:
            noise: standard normal (N or 1, K, h + 2 noise_margin, w + 2 noise_margin) for the K `noise_numbers`, in
                place of random noise in training mode, and of the noise of the position in eval mode.
        """
        color, alpha = unpremultiply(x)
        y = (self.toned if self.is_drawn else self.colored)(color, position)
        if noise is None and not self.training and self.noise_numbers:
            noise = noise_planes(position, x.shape[2], x.shape[3], self.noise_numbers, self.noise_margin).to(y)
        if self.is_grainy:
            y = self.shaped_noise(y, self.white(y, noise))
        if self.is_learned or self.is_drawn:
            own = None if noise is None else without_margin(noise[:, :1], self.noise_margin - self.texture.noise_margin)
            y = self.texture(y, color, position, own, self.is_learned)
        y = leaky_clamp(y) if self.training else y.clamp(-1, 1)
        if self.stage == "finished" and not self.training:
            y = self.finish.forward_tile(y, position)
        return premultiply(y, alpha, self.channels)

    def white(self, x: Tensor, noise: Tensor | None) -> Tensor:
        """Return white noise (N or 1, 3, h + 32, w + 32) for shaped noise: from `noise`, or else random."""
        margin = KERNEL // 2
        if noise is None:
            return torch.randn(len(x), CHANNELS, x.shape[2] + 2 * margin, x.shape[3] + 2 * margin, device=x.device)
        return without_margin(noise[:, -CHANNELS:], self.noise_margin - margin)

    def forward(self, x: Tensor, label: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        return self.forward_tile(x, TilePosition.whole(x), noise)


def random_noise(like: Tensor) -> Tensor:
    """Return white noise of the shape of a tensor, always the same."""
    return torch.randn(like.shape, generator=torch.Generator().manual_seed(0))


def leaky_clamp(y: Tensor) -> Tensor:
    """Return y, clamped to [-1, 1] with a small slope outside: images are never there, which D would recognize."""
    inside = y.clamp(-1, 1)
    return inside + LEAK * (y - inside)


def opaque_windows(images: Tensor) -> Tensor:
    """Return the color (N, 3, s, s) in [-1, 1] of those images uint8 (M, C, s, s) that have no transparent pixel."""
    color, alpha = unpremultiply(images.float() / 127.5 - 1)
    return color[alpha.flatten(1).amin(1) >= OPAQUE] if alpha.dim() else color
