"""Penalties of translators agree with independent versions in NumPy and float64."""

import copy
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan.contracts import Augmented, CycleStep, TranslationStep, connect
from gan.networks import lut
from gan.networks.resnet_translator import Generator
from gan.penalties.blurred_content import BlurredContent
from gan.penalties.cycle import CycleConsistency
from gan.penalties.identity import IdentityMapping
from gan.penalties.lut_regularization import LUTRegularization
from gan.penalties.patch_nce import PatchNCE
from gan.utils.errors import UserError


class Times(nn.Module):
    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(factor))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.factor * x


def step_of(kind: type[TranslationStep], generator: nn.Module, a: Tensor, b: Tensor, **more: Any) -> Any:
    parts = {"generator": generator, "discriminator": nn.Identity(), "augmented": Augmented(None, {})}
    return kind(batch=0, real=b, fake=generator(a), real_a=a, **parts, **more)


def test_cycle_and_identity_are_mean_absolute_differences_in_both_directions() -> None:
    a, b = torch.randn(2, 3, 3, 8, 8).unbind()
    pool = {"pool": lambda images, batch: images}
    there, back = step_of(CycleStep, Times(2.0), a, b, **pool), step_of(CycleStep, Times(0.25), b, a, **pool)
    connect(there, back)
    both = [(there, a, b), (back, b, a)]
    for step, source, target in both:
        assert CycleConsistency(10.0)(step).item() == pytest.approx(
            10 * 0.5 * source.abs().double().mean().item(), rel=1e-5
        )
        factor = step.generator.factor.item()
        away = abs(factor - 1) * target.abs().double().mean().item()
        assert IdentityMapping(5.0)(step).item() == pytest.approx(5 * away, rel=1e-5)
    CycleConsistency()(there).backward()
    assert there.generator.factor.grad is not None and back.generator.factor.grad is not None
    halves = there.split(2)
    assert [len(half.real_a) for half in halves] == [2, 1]
    for half in halves:
        assert half.other.other is half and torch.equal(half.other.real, half.real_a)


def contrast(penalty: PatchNCE, generator: Any, picture: Tensor, translation: Tensor, seed: int, flip: bool) -> float:
    """Compute equation 4 for one query at a time, at the positions given by `seed`."""
    torch.manual_seed(seed)
    if penalty.flip:
        torch.rand(())
    terms = []
    for layer, head in zip(penalty.layers, penalty.heads, strict=True):
        encoder = nn.Sequential(*generator.encoder[: layer + 1])
        query = encoder(translation)
        key = encoder(picture.flip(3) if flip else picture)
        query = query.flip(3) if flip else query
        places = torch.randperm(query.shape[2] * query.shape[3])[: penalty.num_patches]
        rows, columns = np.divmod(places.numpy(), query.shape[3])
        for n in range(len(query)):
            q, k = (head(m[n, :, rows, columns].T).detach().numpy() for m in (query, key))
            q, k = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (q, k))
            for i, vector in enumerate(q):
                scores = [float(vector @ other) / penalty.temperature for other in k]
                terms.append((layer, -scores[i] + np.log(np.sum(np.exp(scores)))))
    layers = [np.mean([term for at, term in terms if at == layer]) for layer in penalty.layers]
    return float(np.mean(layers))


@pytest.mark.parametrize("flip", [False, True])
def test_patch_nce_is_the_cross_entropy_of_the_position_in_the_same_image(flip: bool) -> None:
    generator = Generator(3, 4, 2, norm="none").double()
    options = {"num_patches": 7, "embedding_dim": 32, "identity": False, "flip": flip}
    penalty = PatchNCE(3, 4, (0, 4, 8, 13), weight=3.0, **options).double()
    a, b = torch.randn(2, 2, 3, 16, 16, dtype=torch.float64).unbind()
    step = step_of(TranslationStep, generator, a, b)
    seen = set()
    for seed in range(4):
        torch.manual_seed(seed)
        mirrored = flip and bool(torch.rand(()) < 0.5)
        seen.add(mirrored)
        torch.manual_seed(seed)
        term = penalty(step).item()
        expected = 3 * contrast(penalty, generator, a, step.fake, seed, mirrored)
        assert term == pytest.approx(expected, rel=1e-5)  # lengths are brought to 1 in fp32
    assert seen == ({False, True} if flip else {False})


def test_with_identity_it_is_the_mean_of_both() -> None:
    generator, options = Generator(3, 4, 1, norm="none"), {"layers": (0, 1), "num_patches": 22 * 22}
    both = PatchNCE(3, 4, **options)
    one = copy.deepcopy(both)
    one.identity = False
    step = step_of(TranslationStep, generator, *torch.randn(2, 2, 3, 16, 16).unbind())
    of_target = step_of(TranslationStep, generator, step.real, step.real)
    assert both(step).item() == pytest.approx((one(step) + one(of_target)).item() / 2, rel=1e-4)  # places are all


def test_image_features_get_no_gradients_and_heads_do() -> None:
    generator = Generator(3, 4, 1, norm="none")
    penalty = PatchNCE(3, 4, (0,), identity=False)
    step = step_of(TranslationStep, generator, *torch.randn(2, 2, 3, 16, 16).unbind())
    step.real_a, step.fake = step.real_a.requires_grad_(), step.fake.detach().requires_grad_()
    penalty(step).backward()
    assert step.real_a.grad is None and step.fake.grad is not None
    assert all(p.grad is not None for p in penalty.parameters())


@pytest.mark.parametrize("generator", [nn.Identity(), Generator(3, 4, 1)])
def test_a_generator_without_such_layers_is_refused(generator: nn.Module) -> None:
    step: Any = SimpleNamespace(generator=generator, real_a=torch.zeros(1, 3, 16, 16), fake=torch.zeros(1, 3, 16, 16))
    with pytest.raises(UserError, match=r"patch_nce"):
        PatchNCE(3, 4, (0, 13), identity=False)(step)


def test_lut_penalties_agree_with_the_formulas() -> None:
    generator = lut.Generator(lut_size=4, num_luts=2)
    nn.init.normal_(generator.entries)
    step: Any = SimpleNamespace(generator=generator)
    tables = generator.luts.detach().double().numpy()
    steps = [np.diff(tables, axis=axis) for axis in (2, 3, 4)]
    smooth, falls = (sum(np.mean(f(each)) for each in steps) for f in (np.square, lambda x: np.maximum(-x, 0)))
    assert LUTRegularization(0.5, 3.0)(step).item() == pytest.approx(0.5 * smooth + 3 * falls, rel=1e-5)
    assert LUTRegularization(0.0, 1.0)(SimpleNamespace(generator=lut.Generator())).item() == 0
    with pytest.raises(UserError, match="use model=lut"):
        LUTRegularization()(SimpleNamespace(generator=nn.Identity()))


class Darker(Times):
    """Has a color map of its own, which halves its input."""

    def content(self, x: Tensor) -> Tensor:
        return x / 2


def test_blurred_content_compares_blurred_images_and_is_blind_to_texture() -> None:
    flat = torch.full((2, 3, 40, 40), 0.4)
    checks = torch.ones(40, 40)
    checks[::2, ::2] = checks[1::2, 1::2] = -1
    penalty = BlurredContent(weight=2.0, sigma=3.0)
    textured = step_of(TranslationStep, Times(1.0), flat, flat)
    textured.fake = flat + checks
    assert penalty(textured).item() == pytest.approx(0, abs=0.05)
    assert penalty(step_of(TranslationStep, Times(1.5), flat, flat)).item() == pytest.approx(2 * 0.5 * 0.4, rel=1e-5)
    assert penalty(step_of(TranslationStep, Darker(0.5), flat, flat)).item() == pytest.approx(0, abs=1e-6)
