"""A translator for any style, and its discriminator of texture.

A color map, then shaped noise or a drawing in inks, are fitted without training (`gan.networks.closed_form`). A small
residual network adds the texture that they lack.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.closed_form.carriers import carrier_planes, find_carriers
from gan.networks.closed_form.color_map import ColorMap, ReadsBuffers, luminance, premultiply, unpremultiply
from gan.networks.closed_form.fit import CHUNK
from gan.networks.closed_form.flow_lines import FlowLines
from gan.networks.closed_form.inks import INKS, NOISE_REACH, Inks, to_levels
from gan.networks.closed_form.shaped_noise import KERNEL, ShapedNoise
from gan.networks.layers import activations
from gan.networks.resampling import blur
from gan.networks.tile_position import TilePosition, noise_planes, without_margin

LEAK = 0.1  # slope of the output outside of [-1, 1]
STAGES = ("color", "noise", "drawing", "network", "finished")
LEARNED = STAGES[3:]
CHANNELS = 3  # planes of white noise for shaped noise, after the plane of the network
OPAQUE = 1 - 1 / 255  # alpha from which on a pixel is opaque
FEWEST = 100  # patches for fitting a drawing
PATCHES = 240  # of inputs, for choosing the settings of a drawing
HOPELESS = 1.5  # skip the search for flat areas if their distance to targets exceeds that of the others by this factor
BETTER = 0.8  # a drawing is used if its distance to targets is at most this fraction of that of the others
SLOPE = 0.2  # of the leaky ReLU
BEFORE = 3 + 3 + 1  # planes before the carriers: image, source, noise
SETS = 64  # of carriers; `fit` makes them equal
ANGLES = (0.0, 60.0)  # of flow lines; the second crosses the first, as engravers do in shadows
STRIDES = (2, 2, 1)  # of the discriminator's 4x4 convolutions: a receptive field of 22x22 pixels


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
    """

    multiple = 1  # sides of images must be multiples of this number
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
        self.stage_index = nn.Buffer(torch.zeros((), dtype=torch.int64))
        self.grainy = nn.Buffer(torch.zeros((), dtype=torch.bool))
        self.set_stage("network", bool(grain))
        self.noise_margin = max(KERNEL // 2, self.texture.noise_margin)
        # An estimate of the memory of a forward pass
        self.bytes_per_pixel = 8 * (width + 2 * carriers + 3 * KERNEL)

    @property
    def receptive_radius(self) -> int:
        """Return the number of pixels around a tile on which its output depends."""
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
        return tuple(stage for stage in STAGES if stage != "drawing" or self.texture.inks.count)

    @torch.no_grad()
    def fit(self, a: Tensor, b: Tensor, distance: Callable[[Tensor], float] | None = None) -> None:
        """Fit shaped noise, carriers, flow lines and the drawing to patches uint8 (N, C, s, s) of inputs and targets.

        The color map must be fitted before. Only opaque patches are used, except for `distance`. With fewer than two of
        a side, nothing changes.

        Args:
            distance: returns the distance of images uint8 (N, C, s, s) to targets, for choosing shaped noise and a
                drawing; None: no drawing.
        """
        inputs, targets = opaque_windows(a), opaque_windows(b)
        if min(len(inputs), len(targets)) < 2:
            return
        mapped = torch.cat([self.start(part) for part in inputs.split(CHUNK)])
        self.shaped_noise.fit(mapped, targets)
        carriers = find_carriers(mapped, targets, self.texture.frequencies.shape[1])
        self.texture.flow_lines.fit(inputs, mapped, targets, carriers)
        has_lines = self.texture.flow_lines.cycles > 0
        self.texture.set_carriers(carriers[:0] if has_lines else carriers)  # parallel lines have peaks like carriers
        periodic = len(carriers) > 0 or has_lines
        self.set_stage(self.stage, not periodic if self.grain is None else self.grain)
        if distance is None or len(inputs) < FEWEST or (periodic and not has_lines):
            return
        color, noise = (self.stage_distance(stage, a[:PATCHES], distance) for stage in ("color", "noise"))
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
        """Fit a drawing to patches (N, 3, s, s) in [-1, 1], and keep it if it is much nearer to the targets.

        `others` is the distance of the other closed forms.
        """
        inks, lines = self.texture.inks, self.texture.flow_lines

        def waves_of(angle: float) -> Tensor:
            lines.set_angles(0.0, angle or ANGLES[1])
            parts = luminance(inputs[:PATCHES]).split(CHUNK)
            position = TilePosition.whole(inputs)
            return torch.cat([lines(part, random_noise(part), position) for part in parts])

        inks.fit_colors(inputs, targets, self.start, lines.cycles > 0)
        toned = inks.tone(inputs[:PATCHES])
        limit = math.inf if lines.cycles else HOPELESS * others  # settings change lines much more than areas
        own = inks.fit_settings(toned, waves_of, lines.cycles, lambda made: distance(to_levels(made)), limit)
        lines.set_angles(0.0, inks.settings["hatching"] or ANGLES[1])
        if own > BETTER * others:
            inks.set_settings(inks.settings, 0)

    def content(self, x: Tensor) -> Tensor:
        """Return images (N, C, H, W) whose blur translations have to keep: color-mapped, or tones of the drawing."""
        color, alpha = unpremultiply(x)
        inks = self.texture.inks
        y = inks.tones(inks.tone(color), self.texture.flow_lines.cycles) if inks.count else self.start(color)
        return premultiply(y, alpha, self.channels)

    @property
    def is_learned(self) -> bool:
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
        color_map = self.texture.inks.tone if self.is_drawn else self.start
        y = color_map.forward_tile(color, position)
        if noise is None and not self.training and self.noise_numbers:
            noise = noise_planes(position, x.shape[2], x.shape[3], self.noise_numbers, self.noise_margin).to(y)
        if self.is_grainy:
            y = self.shaped_noise(y, self.white(y, noise, slice(-CHANNELS, None), KERNEL // 2))
        if self.is_learned or self.is_drawn:
            white = self.white(y, noise, slice(0, 1), self.texture.noise_margin)
            y = self.texture(y, color, position, white, self.is_learned)
        y = leaky_clamp(y) if self.training else y.clamp(-1, 1)
        if self.stage == "finished" and not self.training:
            y = self.finish.forward_tile(y, position)
        return premultiply(y, alpha, self.channels)

    def white(self, x: Tensor, noise: Tensor | None, planes: slice, margin: int) -> Tensor:
        """Return some planes of `noise` (N or 1, K, h + 2 margin, w + 2 margin); random ones if it is None."""
        if noise is not None:
            return without_margin(noise[:, planes], self.noise_margin - margin)
        count = len(range(1 + CHANNELS)[planes])
        return torch.randn(len(x), count, x.shape[2] + 2 * margin, x.shape[3] + 2 * margin, device=x.device)

    def forward(self, x: Tensor, label: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        return self.forward_tile(x, TilePosition.whole(x), noise)


class TextureNetwork(ReadsBuffers):
    """Images (N, 3, h, w) in [-1, 1] -> images with texture, initially the same, or drawings of them in inks.

    Besides the image or the drawing it sees its source, a plane of white noise, a cosine and a sine plane per carrier,
    and waves along the structure of the source. Phases are random in training mode and 0 in eval mode.

    Args:
        carriers: largest number of carriers.
        width: channels of the hidden layers.
        n_layers: number of 3x3 convolutions.

    Attributes:
        noise_margin: number of pixels around a tile for which it needs noise.
        used: number of carriers that are computed; the others have a frequency of 0.
    """

    def __init__(self, carriers: int = 12, width: int = 24, n_layers: int = 3) -> None:
        super().__init__()
        self.flow_lines = FlowLines(ANGLES)
        self.inks = Inks()
        widths = [BEFORE + 2 * carriers + len(ANGLES), *[width] * n_layers]
        self.convolutions = nn.ModuleList(nn.Conv2d(before, after, 3) for before, after in pairwise(widths))
        self.to_image = nn.Conv2d(width, INKS, 1)  # an image uses three of them
        for parameter in self.to_image.parameters():
            nn.init.zeros_(parameter)
        self.n_layers, self.noise_margin = n_layers, n_layers + NOISE_REACH
        # Down and across in cycles per pixel; a frequency of 0 is an unused carrier. All sets are equal; saved models
        # have this shape.
        self.frequencies = nn.Buffer(torch.zeros(SETS, carriers, 2))
        self.used = carriers

    @property
    def receptive_radius(self) -> int:
        drawing = self.inks.receptive_radius(self.flow_lines.cycles) if self.inks.count else 0
        return self.n_layers + self.flow_lines.receptive_radius + drawing

    @torch.no_grad()
    def set_carriers(self, carriers: Tensor) -> None:
        """Set the frequencies (K, 2) of all sets; K is at most the number of carriers."""
        self.frequencies.zero_()
        self.frequencies[:, : len(carriers)] = carriers
        self.read_buffers()

    def read_buffers(self) -> None:
        self.used = int((self.frequencies != 0).any(-1).any(0).sum())

    def carriers(self, n: int, position: TilePosition, height: int, width: int) -> Tensor:
        """Return the K carriers in use for n tiles (n or 1, 2K, height, width)."""
        device, count = self.frequencies.device, self.used
        if self.training:
            phase = torch.rand(n, count, device=device)
            frequencies = self.frequencies[torch.randint(SETS, (n,), device=device), :count]
        else:
            phase = torch.zeros(1, count, device=device)
            frequencies = self.frequencies[:1, :count]
        return carrier_planes(frequencies, position.top, position.left, height, width, phase)

    def weight_in_use(self, weight: Tensor) -> Tensor:
        """Return the weight of the first convolution without the planes of unused carriers, which are 0."""
        count = self.frequencies.shape[1]
        if self.used == count:
            return weight
        before, cosines, sines, waves = weight.split([BEFORE, count, count, len(ANGLES)], 1)
        return torch.cat([before, cosines[:, : self.used], sines[:, : self.used], waves], 1)

    def forward(self, x: Tensor, source: Tensor, position: TilePosition, noise: Tensor, learned: bool) -> Tensor:
        """Return the image x with texture, or its drawing in inks. x is the color-mapped source; both (N, 3, h, w).

        Each convolution crops one pixel at each side. So all that the network sees has a margin of n_layers pixels.

        Args:
            noise: white (N or 1, 1, h + 2 noise_margin, w + 2 noise_margin).
            learned: whether the network takes part; otherwise the result is the drawing.
        """
        margin = self.n_layers
        outer = position._replace(top=position.top - margin, left=position.left - margin)
        outer_x, outer_source = (F.pad(image, (margin,) * 4, mode="replicate") for image in (x, source))
        noise = noise.to(x)
        white = without_margin(noise, NOISE_REACH)  # (N or 1, 1, h + 2 n_layers, w + 2 n_layers)
        carriers = self.carriers(x.shape[0], outer, *white.shape[2:]).to(x)  # len(x) would fix the batch of an export
        with torch.no_grad():  # waves have no weights
            waves = self.flow_lines(luminance(outer_source), white, outer, self.training)
        planes = outer_source, white, carriers, math.sqrt(2) * waves
        if not self.inks.count:
            return x + self.residual(outer_x, *planes)[:, :3]
        with torch.no_grad():  # drawings have no weights
            outer_logits = self.inks.logits(outer_x, waves, white, self.flow_lines.cycles)
            outer_field = self.inks.field(noise)
            drawing = self.inks.mixed(outer_logits, outer_field)
        logits = without_margin(outer_logits, margin)
        field = None if outer_field is None else without_margin(outer_field, margin)
        if learned:
            logits = logits + self.residual(drawing, *planes)[:, : self.inks.count]
        return self.inks.mixed(logits, field)

    def residual(self, *planes: Tensor) -> Tensor:
        """Return what the network adds to colors or logits of inks, (N, INKS, h, w); the planes have the margin."""
        n = planes[0].shape[0]
        y = torch.cat([plane.expand(n, -1, -1, -1) for plane in planes], 1)
        first: Any = self.convolutions[0]
        y = F.leaky_relu(F.conv2d(y, self.weight_in_use(first.weight), first.bias), SLOPE)
        for convolution in self.convolutions[1:]:
            y = F.leaky_relu(convolution(y), SLOPE)
        return self.to_image(y)


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N, h, w) of patches of 22x22 pixels, without sigmoid and without padding.

    It sees x - blur(x), so that it can judge neither color nor layout, in which inputs and targets may differ.
    """

    min_size = 22  # smallest height and width of an image

    def __init__(self, channels: int = 3, width: int = 32, sigma: float = 3.0) -> None:
        super().__init__()
        widths = [channels, width, 2 * width, 2 * width]
        self.layers = nn.ModuleList(
            nn.Sequential(nn.Conv2d(widths[n], widths[n + 1], 4, stride), nn.LeakyReLU(SLOPE))
            for n, stride in enumerate(STRIDES)
        )
        self.to_logit = nn.Conv2d(2 * width, 1, 1)
        self.sigma = sigma

    def features(self, x: Tensor) -> list[Tensor]:
        return activations(x - blur(x, self.sigma) if self.sigma else x, self.layers)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.to_logit(self.features(x)[-1])[:, 0]  # (N, 1, h, w) -> (N, h, w)


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
