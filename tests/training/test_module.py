"""The training step: gradients of each network, the counts of batches and images, and updates of the weights."""

import functools
import itertools
import math
from typing import Any

import pytest
import torch
from lightning import Callback, Trainer
from lightning.pytorch.plugins import MixedPrecision
from torch import Tensor, nn

from gan.augment.ada import ADA, Adaptive
from gan.augment.apa import APA
from gan.contracts import Step
from gan.data.module import ImageDataModule
from gan.losses.none import NoAdversarialLoss
from gan.losses.nonsaturating import Nonsaturating
from gan.networks import r3gan
from gan.networks.dcgan import Discriminator, Generator
from gan.networks.layers import SpectralNorm
from gan.penalties.r1 import R1, R2
from gan.training.module import GAN
from gan.utils.errors import Diverged
from tests import recipes

BATCH = 4


def model(**options: Any) -> GAN:
    torch.manual_seed(0)
    adam = functools.partial(torch.optim.Adam, lr=2e-4, betas=(0.5, 0.999))
    size = (16, 16)
    networks = Generator(size, width=4, latent_dim=6), Discriminator(size, width=4, norm=options.pop("norm", "batch"))
    return GAN(*networks, options.pop("loss", Nonsaturating()), adam, adam, batch_size=BATCH, **options)


def fit(
    module: GAN,
    batches: int,
    *callbacks: Callback,
    precision: Any = "32-true",
    data: ImageDataModule | None = None,
    **options: Any,
) -> Trainer:
    options |= {"precision": precision} if isinstance(precision, str) else {"plugins": [precision]}
    data = ImageDataModule(size=16, num_images=24, batch_size=BATCH) if data is None else data
    return recipes.fit((module, data), batches, callbacks=list(callbacks), **options).trainer


def r3gan_model(loss: nn.Module, lr: float, **options: Any) -> GAN:
    """Return a model without dependence between images, which is trained by plain gradient descent."""
    torch.manual_seed(0)
    size, descent = (16, 16), functools.partial(torch.optim.SGD, lr=lr)
    shape: dict[str, Any] = {"width": 8, "blocks_per_stage": 1, "group_width": 4}
    networks = r3gan.Generator(size, latent_dim=6, **shape), r3gan.Discriminator(size, **shape)
    return GAN(*networks, loss, descent, descent, batch_size=BATCH, **options)


@pytest.mark.parametrize("n_critic", [1, 2])
def test_global_step_counts_batches_and_the_clock_images(n_critic: int) -> None:
    class Count(Callback):
        seen: list[tuple[int, int]] = []  # noqa: RUF012

        def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:
            self.seen.append((trainer.global_step, pl_module.images_seen))

    count = Count()
    count.seen = []
    fit(model(n_critic=n_critic), 6, count)
    assert count.seen == [(batch, batch * BATCH) for batch in range(1, 7)]


@pytest.mark.parametrize("n_critic", [1, 3])
def test_each_update_gives_gradients_to_its_network_alone(n_critic: int) -> None:
    moves: list[str] = []

    class Watched(GAN):
        def accumulate(self, losses: dict[str, Tensor], fraction: float, terms: dict[str, Tensor]) -> None:
            for network in (self.generator, self.discriminator):
                network.zero_grad()
            self.manual_backward(torch.stack(list(losses.values())).sum(), retain_graph=True)
            generator, discriminator = (
                any(p.grad is not None and bool(p.grad.any()) for p in network.parameters())
                for network in (self.generator, self.discriminator)
            )
            moves.append("G" * generator + "D" * discriminator)
            for network in (self.generator, self.discriminator):
                network.zero_grad()
            super().accumulate(losses, fraction, terms)

    module = model(n_critic=n_critic)
    module.__class__ = Watched
    fit(module, 6)
    assert "".join(moves) == ("D" * n_critic + "G") * (6 // n_critic)


def test_one_step_agrees_with_a_plain_loop() -> None:
    """Adam, losses and EMA agree with the same two updates in a plain loop."""
    module = model(ema_half_life=8, ema_warmup=1e9)
    plain = model()
    adams = [torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999)) for n in (plain.generator, plain.discriminator)]
    drawn: list[tuple[Tensor, Tensor]] = []

    class Record(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, batch: Any, batch_idx: int) -> None:
            drawn.append((batch["image"].clone(), pl_module.latents(batch_idx, "discriminator")))

    fit(module, 3, Record())
    average = [p.detach().clone() for p in plain.generator.parameters()]
    softplus = nn.functional.softplus
    for image, z in drawn:
        fake = plain.generator(z)
        real_logit, fake_logit = plain.discriminator(image / 127.5 - 1), plain.discriminator(fake.detach())
        adams[1].zero_grad()
        (softplus(-real_logit).mean() + softplus(fake_logit).mean()).backward()
        adams[1].step()
        adams[0].zero_grad()
        softplus(-plain.discriminator(fake)).mean().backward()
        adams[0].step()
        for mean, p in zip(average, plain.generator.parameters(), strict=True):
            mean.lerp_(p.detach(), 1 - 0.5 ** (BATCH / 8))
    for mine, theirs in zip(module.parameters(), plain.parameters(), strict=False):
        if mine.requires_grad:
            torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)
    for mine, theirs in zip(module.ema.module.parameters(), average, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-4, atol=1e-6)


class Caching(MixedPrecision):
    """bf16 with autocast's weight cache enabled, as in Lightning before and after 2.6."""

    def autocast_context_manager(self) -> torch.autocast:
        return torch.autocast("cpu", torch.bfloat16, cache_enabled=True)


def test_no_weights_of_an_earlier_step_are_cached_by_autocast() -> None:
    """G's update must use the weights that D's update has just written, not cached casts of the old ones."""

    class Watched(GAN):
        def generator_loss(self, step: Any) -> dict[str, Tensor]:
            terms = super().generator_loss(step)
            with torch.autocast("cpu", torch.bfloat16, cache_enabled=False), torch.no_grad():
                fresh = self.loss.generator(None, step.critic(step.fake))
            assert fresh.item() == terms["loss/generator"].item()
            return terms

    module = model(norm="none")
    module.__class__ = Watched
    fit(module, 4, precision=Caching("bf16-mixed", "cpu"))


def test_latents_are_functions_of_seed_batch_and_stream() -> None:
    def latents(seed: int, batch: int, stream: str) -> Tensor:
        module = model(seed=seed)
        module.trainer = Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
        return module.latents(batch, stream)

    assert torch.equal(latents(3, 5, "generator"), latents(3, 5, "generator"))
    keys = [(3, 5, "generator"), (3, 6, "generator"), (3, 5, "discriminator"), (4, 5, "generator")]
    assert len({tuple(latents(*key).flatten().tolist()) for key in keys}) == 4


def test_fp16_with_a_scaler_and_two_optimizers_trains() -> None:
    module = model()
    before = [p.detach().clone() for p in module.parameters() if p.requires_grad]
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    fit(module, 6, precision=MixedPrecision("16-mixed", "cpu", scaler))
    after = [p for p in module.parameters() if p.requires_grad]
    assert all(bool(torch.isfinite(p).all()) for p in after)
    assert not any(torch.equal(p, q) for p, q in zip(before, after, strict=True) if p.ndim == 4)


def test_steps_skipped_by_the_scaler_are_counted() -> None:
    module = model(log_interval=8)
    next(module.generator.parameters()).register_hook(lambda gradient: gradient * float("inf"))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    with pytest.raises(Diverged, match="no gradient of the generator is finite"):  # once its scale cannot be why
        fit(module, 40, precision=MixedPrecision("16-mixed", "cpu", scaler))
    assert module.loss_log.means["health/skipped_generator"] == 1 and scaler.get_scale() < 1
    assert 2 < module.trainer.global_step < 20  # not at once, since a scale that is too large comes down so


def test_saved_loss_terms_are_moved_to_the_device() -> None:
    class Elsewhere(GAN):
        device = torch.device("meta")

    module = model()
    module.loss_log.load_state_dict({"loss/generator": torch.ones(3)})
    module.divided = True
    module.__class__ = Elsewhere
    module.on_fit_start()
    assert [term.device.type for term in module.loss_log.pending["loss/generator"]] == ["meta"] * 3


@pytest.mark.parametrize("fused", [True, False])
def test_a_step_with_gradients_that_are_not_finite_is_skipped(fused: bool) -> None:
    class Once(Nonsaturating):
        calls = 0

        def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
            self.calls += 1
            return super().discriminator(real_logits, fake_logits) * (float("nan") if self.calls == 2 else 1.0)

    seen: list[Tensor] = []

    class Watch(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:
            seen.append(pl_module.discriminator.to_logit.weight.detach().clone())

    module = model(loss=Once(), log_interval=16)
    module.optimizer_factories = (functools.partial(torch.optim.Adam, lr=2e-4, fused=fused),) * 2
    fit(module, 4, Watch())
    assert [torch.equal(a, b) for a, b in itertools.pairwise(seen)] == [True, False, False]
    assert module.loss_log.means["health/skipped_discriminator"] == 1 / 4
    assert module.loss_log.means["health/skipped_generator"] == 0
    assert all(math.isfinite(value) for value in module.loss_log.means.values())


@pytest.mark.parametrize("network", ["generator", "discriminator"])
def test_weights_that_are_not_finite_end_the_run(network: str) -> None:
    class Poison(Callback):
        def on_train_batch_start(self, trainer: Trainer, pl_module: GAN, batch: Any, batch_idx: int) -> None:
            if batch_idx == 4:
                next(iter(getattr(pl_module, network).parameters())).data.fill_(float("nan"))

    with pytest.raises(Diverged, match=r"loss/discriminator is nan.* at 24 images"):
        fit(model(log_interval=8), 8, Poison())


def test_previews_and_fakes_use_the_ema_and_do_not_change_training() -> None:
    module = model()
    fit(module, 3)
    live = {name: value.clone() for name, value in module.generator.state_dict().items()}
    previews = module.view.preview(5)
    assert previews.shape == (5, 3, 16, 16) and previews.dtype == torch.uint8
    assert torch.equal(previews, module.view.preview(9)[:5])
    assert not torch.equal(previews, module.view.fakes(5))
    assert all(torch.equal(value, live[name]) for name, value in module.generator.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("n_critic", [1, 2])
def test_micro_batches_add_up_to_the_batch(n_critic: int) -> None:
    """Augmentation and latents are random for each image."""

    def trained(micro_batch: int | None) -> GAN:
        parts = {
            "penalties": {"r1": R1(0.1, interval=2)},
            "augment": Adaptive(
                APA(Adaptive(ADA(), target=-1.0, adjustment_images=100)), target=-1.0, adjustment_images=30, interval=2
            ),
        }
        module = r3gan_model(Nonsaturating(), 0.01, n_critic=n_critic, micro_batch=micro_batch, **parts)
        fit(module, 6)
        return module

    whole, halves, uneven = (trained(micro_batch) for micro_batch in (None, 2, 3))
    assert whole.augment.probability > 0.3 and whole.augment.augment.augment.probability > 0
    for parts in (halves, uneven):
        for name, value in whole.state_dict().items():
            torch.testing.assert_close(parts.state_dict()[name], value, rtol=1e-4, atol=1e-5)
        assert parts.loss_log.pending.keys() == whole.loss_log.pending.keys()
        for name, terms in whole.loss_log.pending.items():
            torch.testing.assert_close(
                torch.stack(parts.loss_log.pending[name]), torch.stack(terms), rtol=1e-3, atol=1e-4
            )


@pytest.mark.parametrize("n_critic", [1, 2, 3, 4])
def test_lazy_penalties_count_updates_of_their_network(n_critic: int) -> None:
    class Counted(R1):
        def __init__(self, of: str) -> None:
            super().__init__(interval=2)
            self.network, self.batches = of, []

        def forward(self, step: Step) -> Tensor:
            self.batches.append(step.batch)
            return step.real.new_zeros((), requires_grad=True)

    penalties = {of: Counted(of) for of in ("discriminator", "generator")}
    fit(model(n_critic=n_critic, penalties=penalties), 4 * n_critic)
    assert penalties["discriminator"].batches == list(range(0, 4 * n_critic, 2))
    assert [batch // n_critic for batch in penalties["generator"].batches] == [0, 2]


def test_r1_in_bf16() -> None:
    """A gradient in bf16 has about two digits."""

    def moved(precision: str) -> dict[str, Tensor]:
        module = r3gan_model(NoAdversarialLoss(), 1.0, penalties={"p": R1(10.0)})
        before = {name: p.detach().clone() for name, p in module.discriminator.named_parameters()}
        fit(module, 1, precision=precision)
        return {name: p.detach() - before[name] for name, p in module.discriminator.named_parameters()}

    plain, half = moved("32-true"), moved("bf16-mixed")
    assert any(change.norm() > 0 for change in plain.values())
    for name, change in plain.items():
        assert (half[name] - change).norm() <= 0.03 * change.norm(), name


def test_parts_are_saved_with_the_module_and_metrics_are_not() -> None:
    names = {name.split(".")[0] for name in model().state_dict()}
    assert names == {"generator", "discriminator", "ema"}


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
def test_gradient_penalties_use_the_pass_of_the_loss(precision: str) -> None:
    """R1 and R2 need no additional forward pass of D. In fp16 they would need one in fp32."""
    module = model(norm="none", penalties={"r1": R1(), "r2": R2(interval=2)})
    passes = []
    module.discriminator.register_forward_hook(lambda *_: passes.append(None))
    fit(module, 2, precision=precision)
    assert len(passes) == 2 * (2 + 1)  # in each batch: real images, generated images, and the generator's update


def test_spectral_normalization_iterates_once_per_update() -> None:
    module = model(norm="spectral", n_critic=2)
    calls: list[None] = []
    first = next(each for each in module.discriminator.modules() if isinstance(each, SpectralNorm))
    first.register_forward_hook(lambda *_: calls.append(None))
    fit(module, 4)
    assert len(calls) == 4 + 2  # four updates of the discriminator, two of the generator


class TwoOutputs(Generator):
    """A generator whose second output has a single pixel."""

    small_output = True

    def forward(self, z: Tensor, label: Tensor | None = None, small: bool = False) -> Any:
        images = super().forward(z, label)
        return (images, z[:, :3, None, None] * next(self.parameters()).mean()) if small else images


class TwoInputs(Discriminator):
    small_input = True

    def forward(self, x: Tensor, label: Tensor | None = None, small: Tensor | None = None) -> Any:
        self.seen.append(None if small is None else (small.shape, small.requires_grad))
        return super().forward(x, label)


@pytest.mark.parametrize(("micro_batch", "rows"), [(None, [4]), (2, [2, 2])])
def test_a_second_output_reaches_the_discriminator(micro_batch: int | None, rows: list[int]) -> None:
    adam = functools.partial(torch.optim.Adam, lr=2e-4)
    networks = TwoOutputs((16, 16), width=4, latent_dim=6), TwoInputs((16, 16), width=4)
    networks[1].seen = []
    fit(GAN(*networks, Nonsaturating(), adam, adam, batch_size=BATCH, micro_batch=micro_batch), 1)
    of_discriminator = [each for n in rows for each in (None, ((n, 3, 1, 1), False))]  # real, then generated images
    assert networks[1].seen == [*of_discriminator, *(((n, 3, 1, 1), True) for n in rows)]
