"""Carriers of targets whose screens differ in pitch and angle from image to image.

The average spectrum of such targets has a ring in place of peaks, but that of each window has peaks. A screen is one
pattern of frequencies, its template, which is enlarged and turned in each window.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor
from torch.nn import functional as F

from gan.networks.transfer.carriers import FLOOR, LOWEST, ORDER, TOLERANCE, find_carriers, local_median, refined
from gan.networks.transfer.cross_spectrum import cross_spectrum, tapered

WINDOWS = 200  # of each side that are examined
QUANTILE = 0.95  # of the inputs' peaks that the median peak of targets exceeds, if targets have screens
GRID, EXTENT = 89, 2.2  # points per axis of the template, from -EXTENT to EXTENT, in frequencies of the main peak
SEPARATION = 4  # points of the grid between peaks of the template
BACKGROUND = 15  # points of the neighborhood of a peak of the template
HEIGHT = 0.5  # log of the smallest ratio of a peak of the template to its neighborhood
NEAREST = 0.3  # smallest distance of peaks of the template from 0 and from the main peak
HARMONIC = 1.6  # main peaks beyond this multiple of their median are harmonics
SQUARE = 0.1  # largest distance of a peak from where a square lattice has one
NYQUIST = 0.5


def find_carrier_sets(inputs: Tensor, targets: Tensor, count: int, sets: int) -> Tensor:
    """Return sets of at most `count` carriers, (S, K, 2), in cycles per pixel; S is 1 or at most `sets`.

    There is one set, that of `find_carriers`, if it explains the main peaks of more than half of the windows, if the
    peaks of single windows are not clear, or if they form no lattice. Otherwise there is a set per window with clear
    peaks: the same lattice, scaled and rotated. The first has the median frequency. A frequency of 0 is an unused
    carrier. K is 0 if there are none.

    Args:
        inputs, targets: windows (N, 3, s, s) and (M, 3, s, s) in [-1, 1].
    """
    shared = find_carriers(inputs, targets, count)
    limit = float(peaks(inputs[:WINDOWS], inputs)[1].quantile(QUANTILE))
    windows = targets[:WINDOWS]
    places, heights = peaks(windows, inputs)
    if not count or float(heights.median()) <= limit:
        return shared[None]
    clear = heights > limit
    mains = torch.stack([refined(windows[n : n + 1], places[n]) for n in clear.nonzero()[:, 0].tolist()])
    pitch = mains.norm(dim=1)
    kept = pitch < HARMONIC * pitch.median()
    mains, pitch = mains[kept], pitch[kept]
    if float(explained(mains, shared, windows.shape[-1]).float().mean()) > 0.5:
        return shared[None]
    pattern = template(whitened_power(windows[clear][kept], inputs), mains, count)
    if not is_lattice(pattern):
        return shared[None]
    typical = (pitch - pitch.median()).abs().argmin()
    return turned(pattern, torch.cat([mains[typical][None], mains])[:sets])


def explained(mains: Tensor, shared: Tensor, side: int) -> Tensor:
    """Return whether each main peak (N, 2) of windows of a side comes from the shared carriers (K, 2).

    It can be one of them; where dots are so large that they leave holes, a harmonic of a square lattice; or the sum of
    carriers of two inks.
    """
    both = torch.cat([shared, -shared, mains.new_zeros(1, 2)])  # no peak is at 0
    crossed = torch.stack([both[:, 1], -both[:, 0]], 1)
    orders = itertools.product(range(-ORDER, ORDER + 1), repeat=2)
    lattice = torch.cat([m * both + n * crossed for m, n in orders if abs(m) + abs(n) <= ORDER])
    sums = (both[:, None] + both).flatten(0, 1)
    made = (torch.cat([lattice, sums]) + NYQUIST) % 1 - NYQUIST  # aliased
    return (torch.cdist(mains, both).amin(1) < 1 / side) | (torch.cdist(mains, made).amin(1) < TOLERANCE / side)


def is_lattice(pattern: Tensor) -> bool:
    """Return whether a pattern (K, 2) has a peak at a right angle to (1, 0). Lines, such as hatching, have none."""
    return bool((pattern.abs() - torch.tensor([0.0, 1.0])).norm(dim=1).min() < SQUARE)


def peaks(windows: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Return the main peak of each window, (N, 2), and its height, (N,).

    Heights are logs of the power of a window's gray by the mean of inputs, relative to the median over frequencies.
    """
    side = windows.shape[-1]
    powers = [tapered(each.mean(1)).abs().square() for each in (windows, inputs)]
    ratios = torch.fft.fftshift(((powers[0] + FLOOR) / (powers[1].mean(0) + FLOOR)).log(), dim=(1, 2))
    f = torch.fft.fftshift(torch.fft.fftfreq(side))
    down, across = f[:, None].expand(side, side), f.expand(side, side)
    half = (torch.hypot(down, across) > LOWEST) & ((down > 0) | ((down == 0) & (across > 0)))
    inside = ratios[:, half]
    best, at = inside.max(1)
    return torch.stack([down[half][at], across[half][at]], 1), best - inside.median(1).values


def whitened_power(windows: Tensor, inputs: Tensor) -> Tensor:
    """Return the log of the power of windows after whitening by the spectrum of inputs, (N, s, s), 0 in the center.

    Colors that inputs lack count as much as gray, so that the weak screens of colored inks show.
    """
    spectrum = cross_spectrum(inputs)
    factor = torch.linalg.cholesky(spectrum + FLOOR * torch.eye(spectrum.shape[-1]))
    z = tapered(windows).permute(2, 3, 1, 0)  # (s, s, 3, N)
    power = torch.linalg.solve_triangular(factor, z, upper=False).abs().square().mean(2).permute(2, 0, 1)
    return torch.fft.fftshift((power + FLOOR).log(), dim=(1, 2))


def template(ratios: Tensor, mains: Tensor, count: int) -> Tensor:
    """Return up to `count` peaks (K, 2) of the mean of log ratios (N, s, s), turned and scaled by their main peaks.

    The main peak of all windows comes to (1, 0), which is the first.
    """
    steps = torch.linspace(-EXTENT, EXTENT, GRID)
    grid = torch.stack(torch.meshgrid(steps, steps, indexing="ij"), -1).flatten(0, 1)  # (GRID^2, 2)
    places = turned(grid, mains).unflatten(1, (GRID, GRID))  # (N, GRID, GRID, 2), down and across
    inside = (places != 0).any(-1).float()
    # With align_corners=False, the frequency 0 is half a bin off the middle of an even number of bins.
    sampled = F.grid_sample(ratios[:, None], 2 * places.flip(-1) + 1 / ratios.shape[-1], align_corners=False)[:, 0]
    mean = (sampled * inside).sum(0) / inside.sum(0).clamp(min=1)
    mean = torch.where(inside.mean(0) > 0.5, mean, mean.min())
    heights = mean - local_median(mean, BACKGROUND)
    top = F.max_pool2d(mean[None, None], 2 * SEPARATION + 1, 1, SEPARATION)[0, 0] == mean
    half = (grid[:, 0] > 1e-6) | ((grid[:, 0].abs() <= 1e-6) & (grid[:, 1] > 0))
    chosen = (top & (heights > HEIGHT)).flatten() & half & (grid.norm(dim=1) > NEAREST)
    at = chosen.nonzero()[:, 0][heights.flatten()[chosen].argsort(descending=True)].tolist()
    main = torch.tensor([[1.0, 0.0]])
    others = torch.stack([grid[n] + steps.diff()[0] * summit(mean, *divmod(n, GRID)) for n in at]) if at else main[:0]
    others = others[(others - main).norm(dim=1) > NEAREST]
    return torch.cat([main, others])[:count]


def summit(values: Tensor, row: int, column: int) -> Tensor:
    """Return the offset (2,) of the top of parabolas through a maximum of values (h, w) and its neighbors, in steps."""
    padded = F.pad(values[None, None], (1,) * 4, mode="replicate")[0, 0]
    lines = padded[row : row + 3, column + 1], padded[row + 1, column : column + 3]
    curvature = torch.stack([low - 2 * middle + high for low, middle, high in lines])
    slope = torch.stack([low - high for low, _, high in lines])
    return (slope / (2 * curvature).clamp(max=-1e-6)).clamp(-0.5, 0.5)


def turned(pattern: Tensor, mains: Tensor) -> Tensor:
    """Return a pattern (K, 2) whose (1, 0) is scaled and turned to each of the frequencies (N, 2): (N, K, 2).

    Frequencies beyond Nyquist's become 0, as unused ones.
    """
    down, across = mains[:, None, 0], mains[:, None, 1]
    x, y = pattern[:, 0], pattern[:, 1]
    found = torch.stack([x * down - y * across, x * across + y * down], -1)
    return found * (found.abs().amax(-1, keepdim=True) < NYQUIST)
