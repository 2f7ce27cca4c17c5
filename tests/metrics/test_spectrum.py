"""Spectra of noise, waves and prints agree with known values and NumPy."""

import numpy as np
import pytest
import torch

from gan.common.errors import UserError
from gan.metrics.spectrum import radial_spectrum, spectral_distance


def noise(deviation: float, *shape: int) -> torch.Tensor:
    gray = 128 + deviation * torch.randn(shape[0], 1, *shape[1:], generator=torch.Generator().manual_seed(0))
    return gray.round().clamp(0, 255).to(torch.uint8).expand(-1, 3, -1, -1)


@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
def test_noise_has_a_flat_spectrum_at_its_standard_deviation(size: tuple[int, int]) -> None:
    spectrum = radial_spectrum(noise(20, 400, *size))
    assert len(spectrum) == min(size) // 2
    torch.testing.assert_close(spectrum, torch.full_like(spectrum, 20 * np.log10(20)), atol=0.5, rtol=0)


def test_a_wave_is_at_its_frequency() -> None:
    wave = 128 + 100 * torch.sin(2 * torch.pi * torch.arange(32) / 4)  # a quarter of a cycle a pixel
    spectrum = radial_spectrum(wave.round().to(torch.uint8).expand(1, 1, 32, 32))
    assert spectrum.argmax() == 7 and spectrum[7] > spectrum[[0, 15]].max() + 30


def test_equals_a_reference_in_numpy() -> None:
    images = torch.randint(0, 256, (3, 3, 12, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    light = images.numpy().astype(np.float64).transpose(0, 2, 3, 1) @ np.array([0.299, 0.587, 0.114])
    window = np.outer(np.hanning(12), np.hanning(16))
    faded = (light - light.mean((1, 2), keepdims=True)) * window
    power = (np.abs(np.fft.fft2(faded)) ** 2).mean(0) / (window**2).sum()
    for k, found in enumerate(radial_spectrum(images).tolist(), 1):
        within = [
            power[row, column]
            for row in range(12)
            for column in range(16)
            if k - 0.5 <= 12 * np.hypot(np.fft.fftfreq(12)[row], np.fft.fftfreq(16)[column]) < k + 0.5
        ]
        assert found == pytest.approx(10 * np.log10(np.mean(within) + 1 / 12), abs=1e-3)


def test_removed_grain_increases_the_distance() -> None:
    grainy, flat = noise(20, 8, 32, 32), noise(0, 8, 32, 32)
    other = noise(20, 9, 32, 32)[1:]
    assert spectral_distance(grainy, grainy) == 0
    assert spectral_distance(grainy, other) < 2 < 30 < spectral_distance(grainy, flat)


def test_invalid_images_are_refused() -> None:
    for images in (noise(1, 1, 3, 32), noise(1, 0, 32, 32)):
        with pytest.raises(UserError, match="spectrum of"):
            radial_spectrum(images)
    with pytest.raises(UserError, match="cannot be compared"):
        spectral_distance(noise(1, 1, 32, 32), noise(1, 1, 32, 24))
