"""A drawing in a few inks, in closed form: lines whose width carries the tone, or flat areas.

Lines follow the structure of the image and are crossed by others in dark areas, as engravers do (Ostromoukhov, "Digital
facial engraving", 1999). Without lines, each pixel gets the nearest ink after unsharp masking (Winnemoeller, "XDoG: an
advanced image stylization with extended difference of Gaussians", 2011), and areas get smooth outlines.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.closed_form.color_map import ColorMap, ReadsBuffers, luminance
from gan.networks.closed_form.fit import draw_pixels, fit
from gan.networks.closed_form.shaped_noise import KERNEL, UnevenInks
from gan.networks.resampling import blur, blur_radius
from gan.networks.tile_position import without_margin

INKS = 8  # largest number of inks; with lines there are two
TONE_SIGMA = 3.0  # of the blur that turns lines into tones, in pixels
FLAT = 0.02  # standard deviation in 3x3 pixels below which a pixel belongs to a flat area, in [-1, 1]
ROUNDS = 20  # of k-means
PIXELS = 20_000  # for k-means
SEARCHES = 2  # of each setting
FIRST = 0.5  # fraction of the darkness above "crossed" that the first set of lines gets; the second set gets the rest
ROUGH_SIGMA = 0.5  # of the blur of noise that varies the width of lines, in distances of lines
CUT = 4.0  # how fast lines vanish in tones lighter than "blank": darkness lost per darkness below
SOFTNESS = 0.02  # an ink whose squared distance is larger by this has a fraction smaller by a factor of e
SLOPE = 4.0  # of the logit of a line, per pixel from its edge: 2 % ink a pixel outside, 98 % a pixel inside
# Of the logits of blurred areas, per standard deviation of the blur. At an edge, fractions change by 0.4 per standard
# deviation, so logits change by 6.4 per pixel for any blur: outlines get smooth and remain sharp.
OUTLINE_SLOPE = 16.0
WIDE = 2.0  # ratio of the wide blur of unsharp masking to the narrow one
CONTOUR = (0.6, 2.0)  # standard deviations of the blurs for contours in the darkest ink
NARROW = 0.7  # least narrow blur of unsharp masking in pixels
SETTINGS = {  # name: values to try, the first at the start
    "hatching": (0.0, 45.0, 60.0, 90.0),  # angle between crossing lines in degrees; 0: none cross
    "crossed": (0.5, 0.3, 0.4, 0.6, 0.7),  # darkness from which they cross
    "contrast": (1.0, 1.4, 1.8, 2.2, 2.7, 3.4),  # of tones, about the middle
    "blank": (0.0, 0.1, 0.2, 0.3),  # darkness below which the paper is left blank
    "roughness": (0.0, 0.1, 0.15, 0.2, 0.3),  # standard deviation of the coverage by lines
    "sharpness": (0.0, 0.5, 1.0, 2.0),  # of unsharp masking
    "blur": (0.0, 0.8, 1.4),  # standard deviation before inks are chosen, in pixels
    "contour": (0.0, 1.0, 2.0, 4.0),  # of unsharp masking for the darkest ink alone
    "outline": (0.0, 0.8, 1.4, 2.0),  # standard deviation of the blur of areas, in pixels
    "unevenness": (0.0, 1.0),  # 1: the colors of inks vary as in targets
}
OF_LINES = ("contrast", "blank", "hatching", "crossed", "sharpness", "roughness", "unevenness")
OF_AREAS = ("blur", "sharpness", "outline", "contour", "unevenness")
NOISE_REACH = KERNEL // 2  # pixels of noise around a pixel on which the field depends


class Inks(ReadsBuffers):
    """Draws images (N, 3, h, w) in [-1, 1] in the inks of targets. Initially there are no inks.

    Attributes:
        tone: the color map before inks are chosen. With lines it is fitted to blurred images.
        palette: (INKS, 3), colors of the inks; with lines the first is darker.
        count: number of inks that are used, also a buffer, so that it is saved.
        settings: the chosen values of SETTINGS, also a buffer.
        uneven: how the colors of inks vary.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tone = ColorMap()
        self.uneven = UnevenInks(INKS)
        self.palette = nn.Buffer(torch.zeros(INKS, 3))
        self.number = nn.Buffer(torch.zeros((), dtype=torch.int64))
        self.values = nn.Buffer(torch.zeros(len(SETTINGS)))
        self.set_settings({name: values[0] for name, values in SETTINGS.items()}, 0)

    def set_settings(self, settings: dict[str, float], count: int) -> None:
        self.settings, self.count = settings, count
        self.values.copy_(torch.tensor(list(settings.values())))
        self.number.fill_(count)

    def read_buffers(self) -> None:
        self.settings = dict(zip(SETTINGS, self.values.tolist(), strict=True))
        self.count = int(self.number)

    def describe(self) -> str:
        """Return the number of inks and the settings that differ from the initial ones, in one line."""
        used = [f"{name} {value:g}" for name, value in self.settings.items() if value != SETTINGS[name][0]]
        return ", ".join([f"{self.count} inks", *used])

    def receptive_radius(self, cycles: float) -> int:
        """Return the number of pixels around a tile on which the drawing depends, apart from the waves of lines."""
        radius = max(blur_radius(self.wide), blur_radius(CONTOUR[1])) + blur_radius(self.settings["outline"])
        return radius + (blur_radius(ROUGH_SIGMA / cycles) if cycles else 0)

    def logits(self, x: Tensor, waves: Tensor, noise: Tensor, cycles: float) -> Tensor:
        """Return the logits (N, K, h, w) of inks for images x after the color map `tone`.

        Args:
            waves: (N, 2, h, w) in [-1, 1], of lines and of crossing lines; 1 in the middle of a line.
            noise: white noise (N, 1, h, w).
            cycles: frequency of the lines in cycles per pixel; 0 for flat areas.
        """
        if cycles:
            return self.lines(self.sharpened(x, self.settings["sharpness"]), waves, noise, cycles)
        return self.areas(x)

    def sharpened(self, x: Tensor, amount: float) -> Tensor:
        narrow = blur(x, self.settings["blur"]) if self.settings["blur"] else x
        return narrow + amount * (narrow - blur(x, self.wide)) if amount else narrow

    @property
    def wide(self) -> float:
        return WIDE * max(NARROW, self.settings["blur"])

    def lines(self, x: Tensor, waves: Tensor, noise: Tensor, cycles: float) -> Tensor:
        """Return the logits of ink and paper, (N, 2, h, w). The width of lines is such that they cover `darkness`."""
        coverage = self.darkness(x)
        if self.settings["roughness"]:
            sigma = ROUGH_SIGMA / cycles
            even = 2 * math.sqrt(math.pi) * sigma  # the inverse of the standard deviation of blurred white noise
            coverage = coverage + self.settings["roughness"] * even * blur(noise, sigma)
        away = waves.clamp(-1, 1).arccos() / math.pi  # from the middle of a line: 0, to halfway between two lines: 1
        inside = coverage - away[:, :1]  # positive on a line, whose half width is `coverage`
        if self.settings["hatching"]:
            first = coverage - (1 - FIRST) * (coverage - self.settings["crossed"]).clamp(min=0)
            second = ((coverage - first) / (1 - first).clamp(min=1e-3)).clamp(0, 1)  # of what the first leaves blank
            inside = torch.maximum(first - away[:, :1], torch.where(second > 0, second - away[:, 1:], -1))
        pixels = inside / (2 * cycles)  # from the edge; it is 1 / (2 cycles) pixels from a line to halfway to the next
        return torch.cat([SLOPE * pixels, torch.zeros_like(pixels)], 1)

    def darkness(self, x: Tensor) -> Tensor:
        """Return the fraction (N, 1, h, w) of the area that lines cover, nominally in [0, 1]."""
        ink, paper = luminance(self.palette[:2, :, None, None]).unbind()
        dark = 0.5 + self.settings["contrast"] * ((paper - luminance(x)) / (paper - ink).clamp(min=1e-3) - 0.5)
        return dark - CUT * (self.settings["blank"] - dark).clamp(min=0)

    def tones(self, x: Tensor, cycles: float) -> Tensor:
        """Return the images (N, 3, h, w) whose blur is that of drawings, for images x as in `logits`."""
        if not cycles:
            return self.mixed(self.areas(x), None)
        dark = self.darkness(x).clamp(0, 1)
        return dark * self.palette[0, :, None, None] + (1 - dark) * self.palette[1, :, None, None]

    def areas(self, x: Tensor) -> Tensor:
        """Return the logits (N, K, h, w) of flat areas of the nearest inks, and of contours in the darkest ink."""
        outline, contour = self.settings["outline"], self.settings["contour"]
        squared = self.squared_distances(self.sharpened(x, self.settings["sharpness"]))
        logits = -squared / SOFTNESS
        if outline:
            logits = OUTLINE_SLOPE * outline * blur(logits.softmax(1), outline)
        if contour:
            narrow, wide = (blur(x, sigma) for sigma in CONTOUR)
            dark = self.squared_distances((narrow + contour * (narrow - wide)).clamp(-1, 1))[:, :1]
            # Positive where more unsharp masking brings the image nearer to the darkest ink than it was to any
            lead = ((squared.amin(1, keepdim=True) - dark) / SOFTNESS).clamp(max=SLOPE)
            darkest = torch.maximum(logits[:, :1], logits.amax(1, keepdim=True) + lead)
            logits = torch.cat([darkest, logits[:, 1:]], 1)
        return logits

    def squared_distances(self, x: Tensor) -> Tensor:
        """Return the squared distances (N, K, h, w) of colors (N, 3, h, w) from the inks."""
        return (x[:, None] - self.palette[: self.count, :, None, None]).square().sum(2)

    def field(self, white: Tensor) -> Tensor | None:
        """Return the field (N, 1, h, w) that varies the colors; None: they are even.

        Args:
            white: noise (N, 1, h + 2 NOISE_REACH, w + 2 NOISE_REACH).
        """
        return self.uneven.field(white) if self.settings["unevenness"] else None

    def mixed(self, logits: Tensor, field: Tensor | None) -> Tensor:
        """Return the colors (N, 3, h, w) of inks whose fractions have the logits (N, K, h, w), varied by a `field`."""
        fractions = logits.softmax(1)
        colors = torch.einsum("nkhw,kc->nchw", fractions, self.palette[: self.count])
        return colors if field is None else colors + self.uneven(fractions, field)

    @torch.no_grad()
    def fit_colors(self, inputs: Tensor, targets: Tensor, start: ColorMap, has_lines: bool) -> None:
        """Fit the palette and `tone`, without lines `start`, to patches (N, 3, s, s) and (M, 3, s, s) in [-1, 1]."""
        count = 2 if has_lines else INKS
        palette = k_means(targets.movedim(1, -1).reshape(-1, 3)[is_flat(targets).flatten()], count)
        order = luminance(palette[:, :, None, None]).flatten().argsort()
        self.palette[:count] = palette[order]
        self.uneven.fit(targets, self.palette[:count])
        self.set_settings({name: values[0] for name, values in SETTINGS.items()}, count)
        change = start
        if has_lines:
            smooth = [to_levels(blur(each, TONE_SIGMA)) for each in (inputs, targets)]
            change = fit(draw_pixels(smooth[0], 0), draw_pixels(smooth[1], 1), "transport")
        self.tone.load_state_dict(change.state_dict())

    @torch.no_grad()
    def fit_settings(
        self,
        x: Tensor,
        waves_of: Callable[[float], Tensor],
        cycles: float,
        distance: Callable[[Tensor], float],
        limit: float = math.inf,
    ) -> float:
        """Set the settings that give drawings of the least distance to targets, one after another, and return it.

        Args:
            x: patches (N, 3, s, s) after `tone`.
            waves_of: returns the waves (N, 2, s, s) for an angle between crossing lines.
            distance: of drawings (N, 3, s, s).
            limit: do not search if the distance with the initial settings is larger.
        """
        waves_of = cache(waves_of)
        sides = (side + 2 * NOISE_REACH for side in x.shape[2:])
        wide = torch.randn(len(x), 1, *sides, generator=torch.Generator().manual_seed(0))
        noise = without_margin(wide, NOISE_REACH)

        def current() -> float:
            logits = self.logits(x, waves_of(self.settings["hatching"]), noise, cycles)
            return distance(self.mixed(logits, self.field(wide)))

        best = current()
        if best > limit:
            return best
        for name in SEARCHES * (OF_LINES if cycles else OF_AREAS):
            for value in [each for each in SETTINGS[name] if each != self.settings[name]]:
                before = self.settings
                self.set_settings(before | {name: value}, self.count)
                found = current()
                if found < best:
                    best = found
                else:
                    self.set_settings(before, self.count)
        return best


def to_levels(x: Tensor) -> Tensor:
    return ((x.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def is_flat(patches: Tensor) -> Tensor:
    """Return whether pixels (N, h, w) of patches (N, 3, h, w) belong to flat areas; all if fewer than 1 % do."""
    mean = F.avg_pool2d(patches, 3, 1, 1, count_include_pad=False)
    square = F.avg_pool2d(patches.square(), 3, 1, 1, count_include_pad=False)
    flat = (square - mean.square()).amax(1) < FLAT**2
    return flat if flat.float().mean() > 0.01 else torch.ones_like(flat)


def k_means(colors: Tensor, count: int) -> Tensor:
    """Return `count` colors, the medians of clusters of colors (n, 3); clusters start far from each other."""
    generator = torch.Generator().manual_seed(0)
    colors = colors[torch.randperm(len(colors), generator=generator)[:PIXELS]]
    centers = colors[:1]
    while len(centers) < count:  # k-means++ (Arthur and Vassilvitskii, 2007)
        squared = torch.cdist(colors, centers).amin(1).square() + 1e-9
        centers = torch.cat([centers, colors[torch.multinomial(squared, 1, generator=generator)]])
    for _ in range(ROUNDS):
        nearest = torch.cdist(colors, centers).argmin(1)
        members = [colors[nearest == n] for n in range(count)]
        centers = torch.stack([own.median(0).values if len(own) else centers[n] for n, own in enumerate(members)])
    return centers
