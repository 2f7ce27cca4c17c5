"""The checkered pattern of upsampling: power of generated images minus that of real images, in decibels.

A layer that doubles the size to s pixels draws a pattern with a period of two of its pixels, which is s / 2 cycles per
side. A row has the difference at this frequency for each doubling, as the mean over all directions (radial) and along
both axes and the diagonal, where the peaks of the pattern are.

python tests/benchmarks/checkered.py RUN ...
"""

from __future__ import annotations

import sys

import torch
from spectrum import power_spectrum, radial_spectrum
from torch import Tensor

from gan.model import Model
from gan.models.address import checkpoint_of
from gan.models.loading import load_data
from gan.networks.grid import base_grid

IMAGES = 1000


def main(runs: list[str]) -> None:
    for run in runs:
        model, path = Model.from_pretrained(run), checkpoint_of(run)
        data = load_data(model.config, path)
        real = data.reals(IMAGES, held_out=True)
        fake = model.generate(list(range(IMAGES))).pixels
        side, doublings = min(real.shape[2:]), base_grid(tuple(real.shape[2:]))[2]
        print(f"{run}: {len(real)} held-out images, {len(fake)} generated images of {side} pixels")
        for name, spectrum in (("radial", radial), ("peaks", peaks)):
            of_real, of_fake = spectrum(real), spectrum(fake)
            for size in (side >> n for n in range(doublings)):
                frequency = size // 2
                print(f"  {name:8}{size:5} pixels{of_fake[frequency] - of_real[frequency]:8.1f} dB")


def radial(images: Tensor) -> Tensor:
    """Return the radial spectrum by cycles per side; entry 0 is 0."""
    return torch.cat([torch.zeros(1, dtype=torch.float64), radial_spectrum(images)])


def peaks(images: Tensor) -> Tensor:
    """Return the mean power along both axes and the diagonal by cycles per side, in decibels."""
    power = power_spectrum(images)
    n = torch.arange(min(power.shape) // 2 + 1)
    return 10 * torch.log10((power[n, 0] + power[0, n] + power[n, n]) / 3)


if __name__ == "__main__":
    main(sys.argv[1:])
