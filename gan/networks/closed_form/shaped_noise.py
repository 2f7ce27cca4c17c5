"""Noise with the spectrum of images, in closed form: the grain of film, and the unevenness of inks."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.closed_form.color_map import luminance
from gan.networks.layers import full_precision
from gan.networks.resampling import blur, blur_radius

KERNEL = 33  # side of the kernels in pixels
SIGMA = 3.0  # of the blur that separates local luminance and detail, in pixels
BINS = 10  # of luminance for which the strength is fitted
FEWEST = 200  # pixels that a bin needs in both sets
LOW, BAND = 0.03, 0.05  # cycles per pixel: below LOW nothing changes, above LOW + BAND everything may
CHUNK = 64  # patches per Fourier transform
INSIDE = 2  # pixels up to this distance from the outline of an area are ignored
SAME = 0.3  # largest distance of the local mean color from that of the ink, in [-1, 1]: beyond, it is another ink
REACH, STEPS = 3.0, 25  # standard deviations of the field at the ends of a curve, and its number of values
FEWEST_OF_INK = 2_000  # pixels that the curve of an ink needs


class ShapedNoise(nn.Module):
    """Removes detail that targets lack, and adds Gaussian noise with the spectrum of the detail that inputs lack.

    The model of film grain in AV1 (Norkin and Birkbeck, "Film Grain Synthesis for AV1 Video Codec", 2018) has the same
    parts: noise with a given spectrum, and a strength that depends on the local intensity, here the luminance.
    Initially it changes nothing. Images are (N, 3, h, w) in [-1, 1].
    """

    receptive_radius = KERNEL // 2 + blur_radius(SIGMA)  # pixels around a tile on which its output depends

    def __init__(self) -> None:
        super().__init__()
        identity = torch.zeros(KERNEL, KERNEL)
        identity[KERNEL // 2, KERNEL // 2] = 1
        self.filter = nn.Buffer(identity)  # convolved with each channel of the image
        self.kernel = nn.Buffer(torch.zeros(3, 3, KERNEL, KERNEL))  # convolved with white noise
        self.strength = nn.Buffer(torch.ones(BINS))  # of the noise, by luminance from -1 to 1

    @torch.no_grad()
    def fit(self, inputs: Tensor, targets: Tensor) -> None:
        """Fit to patches (N, 3, s, s) and (M, 3, s, s) in [-1, 1]."""
        own, wanted = cross_spectrum(inputs).real, cross_spectrum(targets).real  # phases between channels do not matter
        high = ((radius(inputs.shape[-1]) - LOW) / BAND).clamp(0, 1)
        powers = [spectrum.diagonal(dim1=2, dim2=3).sum(-1) for spectrum in (own, wanted)]  # as in `power_spectrum`
        gain = 1 - high * (1 - (powers[1] / powers[0].clamp(min=1e-12)).clamp(max=1).sqrt())
        values, vectors = torch.linalg.eigh((wanted - own * gain.square()[..., None, None]) * high[..., None, None])
        root = (vectors * values.clamp(min=0).sqrt()[..., None, :]) @ vectors.mT  # (s, s, 3, 3)
        self.filter.copy_(windowed(gain))
        self.filter.div_(self.filter.sum())  # windowing changes the mean slightly
        self.kernel.copy_(windowed(root.permute(2, 3, 0, 1)))
        power = torch.stack([values.clamp(min=0).sum(-1).mean(), self.kernel.square().sum()])  # before and after
        self.kernel.mul_((power[0] / power[1].clamp(min=1e-12)).sqrt())
        self.strength.copy_(fitted_strength(inputs, targets))

    def forward(self, x: Tensor, white: Tensor) -> Tensor:
        """Return images (N, 3, h, w) with noise, made from white noise (N or 1, 3, h + 32, w + 32)."""
        channels = x.shape[1]
        padded = F.pad(x, (KERNEL // 2,) * 4, mode="replicate")
        with full_precision(x):  # as in `blur`
            smooth = F.conv2d(padded, self.filter.expand(channels, 1, -1, -1), groups=channels)
        return smooth + self.strength_at(x) * F.conv2d(white, self.kernel)

    def strength_at(self, x: Tensor) -> Tensor:
        """Return the strength (N, 1, h, w) of noise for the local luminance, linear between the centers of bins."""
        return interpolated(self.strength, local_luminance(x))


def fitted_strength(inputs: Tensor, targets: Tensor) -> Tensor:
    """Return the standard deviation (BINS,) of the additional detail by luminance, relative to its average."""
    (own, own_count), (wanted, count) = detail_by_luminance(inputs), detail_by_luminance(targets)
    weights = count / count.sum()
    excess = (wanted - own).clamp(min=0)
    seen = (own_count > FEWEST) & (count > FEWEST)
    mean = (excess * weights)[seen].sum() / weights[seen].sum().clamp(min=1e-9)
    excess = torch.where(seen, excess, mean)
    return (excess / (excess * weights).sum().clamp(min=1e-9)).sqrt()


def detail_by_luminance(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Return the variance of detail (BINS,) in patches by local luminance, and the number of pixels (BINS,)."""
    detail = blur((patches - blur(patches, SIGMA)).square().mean(1, keepdim=True), SIGMA).flatten()
    level = ((local_luminance(patches) + 1) / 2 * BINS).long().clamp(0, BINS - 1).flatten()
    count = level.bincount(minlength=BINS).float()
    return level.bincount(detail, BINS).float() / count.clamp(min=1), count


def local_luminance(x: Tensor) -> Tensor:
    """Return the blurred luminance (N, 1, h, w) of images (N, 3, h, w)."""
    return blur(luminance(x), SIGMA)


def interpolated(values: Tensor, luminance: Tensor) -> Tensor:
    """Return the value at each luminance in [-1, 1]; values (L,) are those in the middle of L equal bins."""
    return between(values, (luminance.clamp(-1, 1) + 1) / 2 * len(values) - 0.5)


def between(values: Tensor, place: Tensor) -> Tensor:
    """Interpolate values (..., L) linearly at places (*S) from 0 to L - 1 -> (..., *S). The ends continue outside."""
    last = values.shape[-1] - 1
    place = place.clamp(0, last)
    lower = place.long().clamp(max=last - 1)
    return torch.lerp(values[..., lower], values[..., lower + 1], place - lower)


class UnevenInks(nn.Module):
    """Varies the colors of up to `inks` inks by noise: mottled areas, and specks where the paper shows through.

    A Gaussian field, the same for all inks, moves the color of each ink along a line in color space. A curve gives the
    distance for each value of the field. Initially nothing moves.
    """

    def __init__(self, inks: int) -> None:
        super().__init__()
        self.kernel = nn.Buffer(torch.zeros(KERNEL, KERNEL))  # convolved with white noise
        self.direction = nn.Buffer(torch.zeros(inks, 3))  # unit vector along which the color of an ink varies
        self.curve = nn.Buffer(torch.zeros(inks, STEPS))  # how far, for values of the field from -REACH to REACH

    @torch.no_grad()
    def fit(self, targets: Tensor, palette: Tensor) -> None:
        """Fit to patches (N, 3, s, s) in [-1, 1] in inks of colors (K, 3). Inks with small areas remain even."""
        for buffer in (self.kernel, self.direction, self.curve):
            buffer.zero_()
        colors = targets.movedim(1, -1)  # (N, s, s, 3)
        nearest = torch.cdist(colors.flatten(0, 2), palette).argmin(1).view(colors.shape[:3])
        means = F.avg_pool2d(targets, 2 * INSIDE + 1, 1, INSIDE, count_include_pad=False).movedim(1, -1)
        field, known = torch.zeros_like(targets[:, 0]), torch.zeros_like(nearest, dtype=torch.bool)
        for number, color in enumerate(palette):
            inside = eroded(nearest == number) & ((means - color).square().sum(-1) < SAME**2)
            if inside.sum() < FEWEST_OF_INK:
                continue
            away = colors[inside] - color  # (n, 3)
            self.direction[number] = main_direction(away)
            distances = away @ self.direction[number]
            self.curve[number] = normal_quantiles(distances)
            field[inside] = normal_scores(distances)
            known |= inside
        self.kernel.copy_(kernel_of(field, known))

    def field(self, white: Tensor) -> Tensor:
        """Return the field (N, 1, h, w) for white noise (N, 1, h + 32, w + 32)."""
        return F.conv2d(white, self.kernel[None, None])

    def forward(self, fractions: Tensor, field: Tensor) -> Tensor:
        """Return what a field (N or 1, 1, h, w) adds to the colors (N, 3, h, w) of fractions (N, K, h, w) of inks."""
        count = fractions.shape[1]
        place = (field[:, 0].to(self.curve) / REACH + 1) / 2 * (STEPS - 1)  # (N, h, w)
        distance = between(self.curve[:count], place).movedim(0, 1)  # (N, K, h, w)
        return torch.einsum("nkhw,kc->nchw", fractions * distance, self.direction[:count])


def eroded(area: Tensor) -> Tensor:
    """Return a mask (N, h, w) of the pixels of areas that are more than INSIDE pixels from others and the border."""
    others = F.pad((~area).float(), (INSIDE,) * 4, value=1)
    return F.max_pool2d(others[:, None], 2 * INSIDE + 1, 1)[:, 0] == 0


def main_direction(differences: Tensor) -> Tensor:
    """Return the unit vector (3,) along which differences of colors (n, 3) are largest, from dark to light."""
    vector = torch.linalg.eigh(differences.T @ differences)[1][:, -1]
    return vector if vector.sum() >= 0 else -vector


def normal_quantiles(values: Tensor) -> Tensor:
    """Return the quantiles (STEPS,) of values (n,) that correspond to those of a normal from -REACH to REACH."""
    places = torch.special.ndtr(torch.linspace(-REACH, REACH, STEPS)) * (len(values) - 1)
    return values.sort().values[places.round().long()]


def normal_scores(values: Tensor) -> Tensor:
    """Return values (n,) made normal: those of a standard normal with the same ranks. Equal values remain equal."""
    _, place, counts = values.unique(return_inverse=True, return_counts=True)
    ranks = counts.cumsum(0) - counts / 2
    return torch.special.ndtri(ranks / len(values))[place]


def kernel_of(field: Tensor, known: Tensor) -> Tensor:
    """Return the kernel (KERNEL, KERNEL) that gives white noise the autocorrelation of fields of variance 1.

    Args:
        field: (N, s, s), which matters only where it is `known` (N, s, s).
    """
    side = field.shape[-1]
    transforms = (torch.fft.fft2(F.pad(each.float(), (0, side, 0, side))) for each in (field * known, known))
    products, pairs = (torch.fft.ifft2(each.abs().square().sum(0)).real for each in transforms)
    near = windowed(torch.fft.fft2(products / pairs.clamp(min=1)).real)  # the autocorrelation at small distances
    spectrum = torch.fft.fft2(torch.fft.ifftshift(near)).real.clamp(min=0)
    kernel = torch.fft.fftshift(torch.fft.ifft2(spectrum.sqrt()).real)
    return kernel / kernel.square().sum().sqrt().clamp(min=1e-9)


def windowed(spectrum: Tensor) -> Tensor:
    """Return the kernel (..., KERNEL, KERNEL) of a real, even spectrum (..., s, s), faded out by a Hann window."""
    side = spectrum.shape[-1]
    reach = min(KERNEL, side - 1) // 2
    kernel = torch.fft.fftshift(torch.fft.ifft2(spectrum).real, dim=(-2, -1))
    inner = slice(side // 2 - reach, side // 2 + reach + 1)
    taper = torch.hann_window(2 * reach + 3, periodic=False)[1:-1]
    return F.pad(kernel[..., inner, inner] * torch.outer(taper, taper), (KERNEL // 2 - reach,) * 4)


def cross_spectrum(patches: Tensor) -> Tensor:
    """Return the mean cross-spectrum of patches (N, C, s, s): complex Hermitian (s, s, C, C), zero frequency first.

    A Hann window avoids the discontinuity between opposite borders. White noise with standard deviation 1 has the
    identity at each frequency (Welch, "The use of fast Fourier transform for the estimation of power spectra", 1967).
    """
    side = patches.shape[-1]
    total = torch.zeros(side, side, *[patches.shape[1]] * 2, dtype=torch.complex64, device=patches.device)
    for part in patches.float().split(CHUNK):
        z = tapered(part)
        total += torch.einsum("ncyx,ndyx->yxcd", z, z.conj())
    return total / len(patches)


def power_spectrum(patches: Tensor) -> Tensor:
    """Return the power (s, s) of patches (N, C, s, s), summed over the channels."""
    return cross_spectrum(patches).real.diagonal(dim1=2, dim2=3).sum(-1)


def tapered(patches: Tensor) -> Tensor:
    """Return the Fourier transforms of patches (..., s, s) after a Hann window; white noise keeps its variance."""
    side = patches.shape[-1]
    hann = torch.hann_window(side)
    taper = torch.outer(hann, hann).to(patches)
    taper = taper / taper.square().mean().sqrt() / side
    return torch.fft.fft2((patches - patches.mean((-2, -1), keepdim=True)) * taper)


def radius(side: int) -> Tensor:
    """Return the frequency of each bin of a Fourier transform (side, side), in cycles per pixel."""
    f = torch.fft.fftfreq(side)
    return torch.hypot(f[:, None], f)
