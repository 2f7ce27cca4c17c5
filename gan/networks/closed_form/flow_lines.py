"""Flow lines: waves with the distance of the targets' lines, which follow the structure of the image.

Engravers and woodcutters lay lines along forms. The waves are those of phasor noise (Tricard et al., "Procedural phasor
noise", 2019): noise is filtered by the Gabor filter of the local direction, and its amplitude is made even. The
direction is that of the structure tensor (Bigun and Granlund, "Optimal orientation detection of linear symmetry",
1987).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.closed_form.carriers import carrier_planes
from gan.networks.closed_form.color_map import ReadsBuffers, luminance
from gan.networks.closed_form.shaped_noise import power_spectrum, radius
from gan.networks.resampling import blur, blur_radius
from gan.networks.tile_position import TilePosition

DIRECTIONS = 8  # of the Gabor filters, over half a turn
BANDWIDTH = 0.22  # standard deviation of a filter in the frequency domain, relative to its frequency
PASSES = 3
MIN_FREQUENCY = 1 / 16  # cycles per pixel: lower ones are content
FINE = 1.0  # standard deviation of the blur before gradients, in pixels
WIDE = 2.5  # standard deviation of the blur of the structure tensor, in distances of lines
PROMINENCE = 0.25  # log of the smallest ratio of a ring of the spectrum to its neighbors
FITTED = 200  # patches of inputs by which directions are fitted
MAX_WEIGHT, STEPS = 4.0, 41  # of the preferred direction, in units of the mean structure
EXPLAINED = 0.8  # fraction of the power of a ring; if carriers have more, its pattern is parallel lines or a screen
PLANE = 0.8  # weight of a plane wave, relative to noise, in what is filtered where lines have a preferred direction
NEIGHBORS = 11  # rings of the running median


def find_line_frequency(inputs: Tensor, targets: Tensor, carriers: Tensor) -> float:
    """Return the frequency, in cycles per pixel, of lines of all directions in targets; 0 if there are none.

    It is a peak of the ratio of the power of targets and inputs over rings of the spectrum. A ring counts if the
    carriers (K, 2) on it, which have one direction each, explain less than EXPLAINED of the power that inputs lack.

    Args:
        inputs, targets: patches (N, 3, s, s) and (M, 3, s, s) in [-1, 1].
    """
    side = targets.shape[-1]
    own, wanted = power_spectrum(inputs), power_spectrum(targets)
    rings = (radius(side) * side + 0.5).long()
    ratio = (wanted + 1e-6).log() - (own + 1e-6).log()
    means = torch.stack([ratio[rings == ring].median() for ring in range(side // 2)])
    prominence = means - running_median(means)
    prominence[: math.ceil(MIN_FREQUENCY * side)] = 0
    best = int(prominence.argmax())
    if prominence[best] < PROMINENCE:
        return 0.0
    excess = (wanted - own).clamp(min=0) * ((rings - best).abs() <= 1)
    on_carriers = near(carriers, side)
    if (excess * on_carriers).sum() > EXPLAINED * excess.sum():
        return 0.0
    return float((excess * radius(side)).sum() / excess.sum())


def running_median(values: Tensor) -> Tensor:
    """Return the medians (R,) of NEIGHBORS values around each of the values (R,)."""
    reach = NEIGHBORS // 2
    return F.pad(values[None, None], (reach, reach), mode="replicate")[0, 0].unfold(0, NEIGHBORS, 1).median(1).values


def near(carriers: Tensor, side: int) -> Tensor:
    """Return a mask (side, side) of the bins within 1.5 bins of a carrier or its negative."""
    f = torch.fft.fftfreq(side)
    bins = torch.stack(torch.meshgrid(f, f, indexing="ij"), -1)  # (s, s, 2)
    mask = torch.zeros(side, side, dtype=torch.bool)
    for frequency in (*carriers, *-carriers):
        mask |= (bins - frequency).norm(dim=-1) < 1.5 / side
    return mask


class FlowLines(ReadsBuffers):
    """Waves in [-1, 1] along the structure of an image.

    Args:
        angles: angles between the waves and the structure, in degrees.

    Attributes:
        cycles: frequency in cycles per pixel; 0 if there are no lines.
        preferred: (2,), what is added to the structure tensor, for lines where there is no structure.
        parallel: weight of the plane waves from which lines start, with the frequencies `vectors` (A, 2).
    """

    def __init__(self, angles: tuple[float, ...]) -> None:
        super().__init__()
        self.frequency = nn.Buffer(torch.zeros(()))
        self.preferred = nn.Buffer(torch.zeros(2))
        self.degrees = nn.Buffer(torch.tensor(angles))
        self.vectors = nn.Buffer(torch.zeros(len(angles), 2), persistent=False)
        self.cycles, self.angles, self.parallel = 0.0, list(angles), 0.0

    def set_frequency(self, cycles: float) -> None:
        """Set the frequency in cycles per pixel; 0 for no lines."""
        self.frequency.fill_(cycles)
        self.read_buffers()

    def set_angles(self, *angles: float) -> None:
        self.degrees.copy_(torch.tensor(angles))
        self.read_buffers()

    def read_buffers(self) -> None:
        self.cycles, self.angles = float(self.frequency), self.degrees.tolist()
        real, imaginary = self.preferred.tolist()
        self.parallel = PLANE if real or imaginary else 0.0
        across = [math.atan2(imaginary, real) / 2 + math.radians(angle) for angle in self.angles]
        self.vectors.copy_(self.cycles * torch.tensor([(math.sin(angle), math.cos(angle)) for angle in across]))

    @torch.no_grad()
    def fit(self, source: Tensor, inputs: Tensor, targets: Tensor, carriers: Tensor) -> None:
        """Fit to patches (N, 3, s, s) and (M, 3, s, s) in [-1, 1], and to the carriers (K, 2) of targets.

        `inputs` are the color map of `source`. Directions get the mean and the spread that the lines of targets have.
        """
        self.preferred.zero_()
        self.set_frequency(find_line_frequency(inputs, targets, carriers))
        f = self.cycles
        if f == 0:
            return
        wanted = mean_direction(inputs, targets, f)
        real, imaginary = structure(luminance(source[:FITTED]), WIDE / f)
        unit = torch.hypot(real, imaginary).mean() * wanted / wanted.norm().clamp(min=1e-6)
        for weight in torch.linspace(0, MAX_WEIGHT, STEPS):
            self.preferred.copy_(weight * unit)
            shifted = torch.cat([real + self.preferred[0], imaginary + self.preferred[1]], 1)
            if F.normalize(shifted, dim=1).mean((0, 2, 3)).norm() >= wanted.norm():
                break
        self.read_buffers()

    @property
    def receptive_radius(self) -> int:
        """Return the number of pixels around a tile on which its output depends; 0 without lines."""
        f = self.cycles
        return 0 if f == 0 else blur_radius(WIDE / f) + blur_radius(FINE) + 1 + PASSES * filter_radius(f)

    def forward(self, luminance: Tensor, noise: Tensor, position: TilePosition, moved: bool = False) -> Tensor:
        """Return waves (N, A, h, w) in [-1, 1] of luminance (N, 1, h, w); A is the number of angles.

        Lines start parallel in the preferred direction, with some noise. Without lines waves are 0.

        Args:
            noise: white noise (N or 1, 1, h, w).
            moved: whether each image gets another phase, by chance.
        """
        f, (n, _, height, width) = self.cycles, luminance.shape
        if f == 0:
            return luminance.new_zeros(n, len(self.angles), height, width)
        real, imaginary = structure(luminance, WIDE / f)
        direction = torch.atan2(imaginary + self.preferred[1], real + self.preferred[0]) / 2  # across the structure
        found = []
        for angle, frequency in zip(self.angles, self.vectors, strict=True):
            phase = torch.rand(n, 1, device=luminance.device) if moved else torch.zeros(1, 1, device=luminance.device)
            plane = carrier_planes(frequency[None], position.top, position.left, height, width, phase)[:, :1]
            start = torch.lerp(noise, plane.to(noise), self.parallel)
            found.append(wave(start, (direction + math.radians(angle)) % math.pi, f))
        return torch.cat(found, 1)


def mean_direction(inputs: Tensor, targets: Tensor, frequency: float) -> Tensor:
    """Return the mean (2,) of (cos 2t, sin 2t) over the directions t in which targets have more power than inputs.

    Its length is 0 for lines of all directions and 1 for parallel lines.
    """
    side = targets.shape[-1]
    own, wanted = power_spectrum(inputs), power_spectrum(targets)
    excess = (wanted - own).clamp(min=0) * ((radius(side) - frequency).abs() < 1.5 / side)
    f = torch.fft.fftfreq(side)
    twice = 2 * torch.atan2(f[:, None].expand(side, side), f.expand(side, side))
    return torch.stack([(excess * twice.cos()).sum(), (excess * twice.sin()).sum()]) / excess.sum().clamp(min=1e-12)


def structure(luminance: Tensor, sigma: float) -> tuple[Tensor, Tensor]:
    """Return the structure tensor of luminance (N, 1, h, w) as a complex number: real and imaginary part (N, 1, h, w).

    Half of its argument is the direction across the structure. It is blurred by a standard deviation `sigma` in pixels.
    """
    x = F.pad(blur(luminance, FINE), (1,) * 4, mode="replicate")
    across, down = x[..., 1:-1, 2:] - x[..., 1:-1, :-2], x[..., 2:, 1:-1] - x[..., :-2, 1:-1]
    real, imaginary = across.square() - down.square(), 2 * across * down  # (across + i down)^2
    strength = magnitude(real, imaginary).clamp(min=1e-6).sqrt()  # strong edges do not drown weak structure
    return blur(real / strength, sigma), blur(imaginary / strength, sigma)


def magnitude(real: Tensor, imaginary: Tensor) -> Tensor:
    """Return the absolute values of complex numbers; ONNX has no `hypot`."""
    if torch.compiler.is_exporting():
        return (real.square() + imaginary.square()).sqrt()
    return torch.hypot(real, imaginary)


def filter_radius(frequency: float) -> int:
    """Return the radius of Gabor filters in pixels: 2.5 standard deviations."""
    return math.ceil(2.5 / (2 * math.pi * BANDWIDTH * frequency))


def gabor_filters(frequency: float, like: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Gabor filters of all directions as products of a row and a column.

    Weights of two convolutions: (2 DIRECTIONS, 1, 1, k), and (2 DIRECTIONS, 2, k, 1) of groups of two channels, for
    the real and imaginary parts of each direction one after the other.
    """
    sigma = 1 / (2 * math.pi * BANDWIDTH * frequency)
    reach = filter_radius(frequency)
    taps = torch.arange(2 * reach + 1, device=like.device, dtype=torch.float32) - reach
    envelope = torch.exp(-(taps.square()) / (2 * sigma**2))
    envelope = envelope / envelope.sum()
    angle = math.pi * torch.arange(DIRECTIONS, device=like.device)[:, None] / DIRECTIONS
    phases = [2 * math.pi * frequency * taps * each for each in (angle.cos(), angle.sin())]  # across, down
    (row_real, row_imaginary), (real, imaginary) = ((envelope * p.cos(), envelope * p.sin()) for p in phases)
    rows = torch.stack([row_real, row_imaginary], 1).flatten(0, 1)[:, None, None]
    columns = torch.stack([torch.stack([real, -imaginary], 1), torch.stack([imaginary, real], 1)], 1)
    return rows.to(like), columns.flatten(0, 1)[..., None].to(like)


def wave(start: Tensor, direction: Tensor, frequency: float) -> Tensor:
    """Return a wave in [-1, 1] that travels in the local direction, from a field `start`; all are (N, 1, h, w).

    Weights interpolate between the filters of the two nearest directions. Directions repeat after half a turn, with the
    opposite sign of the imaginary part.
    """
    place = direction / math.pi * DIRECTIONS
    turn = (place - torch.arange(DIRECTIONS, device=place.device)[:, None, None]).abs()  # (N, DIRECTIONS, h, w)
    weight = (1 - torch.minimum(turn, DIRECTIONS - turn)).clamp(min=0)
    signed = torch.where(turn > DIRECTIONS / 2, -weight, weight)
    rows, columns = gabor_filters(frequency, start)
    reach = rows.shape[-1] // 2
    for _ in range(PASSES):
        padded = F.pad(start, (reach,) * 4, mode="replicate")
        both = F.conv2d(F.conv2d(padded, rows), columns, groups=DIRECTIONS)
        real = (both[:, ::2] * weight).sum(1, keepdim=True)
        imaginary = (both[:, 1::2] * signed).sum(1, keepdim=True)
        start = real / magnitude(real, imaginary).clamp(min=1e-6)
    return start
