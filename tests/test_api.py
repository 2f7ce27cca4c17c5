"""gan.train, gan.load, gan.translate and gan.Run as a notebook uses them."""

import importlib
import os
import pydoc
import signal
import subprocess
import sys
import threading
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import gan
from tests.commands.test_translate import made
from tests.conftest import environment
from tests.patience import PATIENCE, wait_for
from tests.recipes import TINY as RECIPES

OPTIONS = {
    "data.batch_size": 4,
    "data.split": None,
    "model.generator.width": 4,
    "model.generator.full_size_channels": 0,
    "model.discriminator.width": 4,
    "model.generator.latent_dim": 8,
    "model.log_interval": 8,
    "callback": ["progress", "samples", "checkpoint"],
}


def state() -> tuple[object, ...]:
    """Return what training may not change in this process."""
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    numbers = torch.get_num_threads(), torch.get_rng_state().sum().item(), torch.get_float32_matmul_precision()
    return handlers, dict(os.environ), os.getcwd(), list(warnings.filters), *numbers, threading.active_count()


@pytest.mark.slow
def test_training_from_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "my pictures [1]"
    folder.mkdir()
    for n in range(12):
        Image.fromarray(np.random.default_rng(n).integers(0, 256, (20, 20, 4), np.uint8)).save(folder / f"{n}.png")
    for module in ("gan.training.fit", "scipy.special"):
        importlib.import_module(module)  # Lightning and SciPy add filters of warnings when they are imported
    before = state()
    with pytest.raises(gan.UserError, match="model=dcgn: no such model; did you mean dcgan"):
        gan.train(model="dcgn")
    with pytest.raises(gan.UserError, match="sise: no such option"):
        gan.train("failed", sise=16)
    run = gan.train(model="dcgan", data="folder", root=folder, size=16, channels=4, images=16, options=OPTIONS)
    assert run.path.parent == Path("runs") and run.metrics and "16 images seen" in repr(run)
    assert "16 images" in capfd.readouterr().out
    again = gan.train("second", data="retro", num_images=24, size=16, images=8, quiet=True, options=OPTIONS)
    longer = gan.train(resume=again, images=16, quiet=True)
    assert longer.path == again.path and capfd.readouterr().out == "" and state() == before
    assert longer.model.images == 16
    model = run.model
    assert repr(model) == "<gan.Model dcgan: 16x16 pixels, RGBA, 16 images seen>" and model.sample(2)[0].mode == "RGBA"
    latents = model.project(folder / "0.png", starts=2, steps=10)
    assert len(model.synthesize(model.edit(latents, brightness=0.5))) == 1
    edited = model.edit(model.latents([0, 1]), brightness=0.5)
    assert model.synthesize(edited) == model.synthesize(model.edit(*model.latents([0, 1]), brightness=0.5))
    images = model.sample(3)
    images.pixels[:, :3] = images.pixels[:, :3].minimum(images.pixels[:, 3:])  # a trained model generates no others
    for same in (images, np.asarray(images), images.tensor, list(images)):
        found = model.decode(same).pixels.int() - images.pixels.int()
        assert found.abs().max() <= 1  # premultiplied again
    with pytest.raises(gan.UserError, match="is not a translator"):
        gan.translate(run, folder / "0.png")


def test_translating_from_python(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for n in range(8):
        image = Image.fromarray(np.random.default_rng(n).integers(0, 256, (40, 48, 3), np.uint8))
        image.save(tmp_path / "a" / f"{n}.png")
    run = made(tmp_path, "model=lut", *RECIPES["lut"])
    translator = gan.load(run)
    assert isinstance(translator, gan.Translator) and "lut: trained at 32x32 pixels" in repr(translator)
    path = tmp_path / "a" / "0.png"
    with Image.open(path) as image:
        pixels = np.array(image)
        results = [
            gan.translate(run, given) for given in (path, image, pixels, torch.from_numpy(pixels).permute(2, 0, 1))
        ]
        image.putalpha(Image.new("L", image.size, 77))
        assert translator(image).getchannel("A").getextrema() == (77, 77)
    assert all(np.array_equal(results[0], other) for other in results) and results[0].size == (48, 40)
    assert len(translator.translate(tmp_path / "a")) == 8
    assert np.array_equal(translator.translate(path, strength=0), pixels)
    for options, said in (
        ({"direction": "b2a"}, "only a2b"),
        ({"direction": "c"}, "choose from a2b, b2a"),
        ({"strength": 3}, "from 0 to 2"),
    ):
        with pytest.raises(gan.UserError, match=said):
            gan.translate(translator, path, **options)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no process groups for signals")
def test_an_interrupt_saves_a_checkpoint(tmp_path: Path) -> None:
    options = OPTIONS | {"data.size": 16, "data.num_images": 24}
    program = f"import gan; gan.train('run', images=10_000_000, options={options!r})"
    process = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment(), stderr=subprocess.PIPE,
                               stdout=subprocess.DEVNULL, text=True, start_new_session=True)  # fmt: skip
    wait_for((tmp_path / "run" / "metrics.jsonl").exists, process)
    os.killpg(process.pid, signal.SIGINT)
    assert "KeyboardInterrupt" in process.communicate(timeout=PATIENCE)[1]
    assert list((tmp_path / "run" / "checkpoints").glob("*.ckpt"))


def test_help_and_names() -> None:
    page = pydoc.plain(pydoc.render_doc(gan))
    assert "gan.train(" in page and "model.sample(16)" in page
    assert gan.__version__ == version("retro-gan")
    assert set(gan.__all__) <= set(dir(gan)) and all(hasattr(gan, name) for name in gan.__all__)
    assert (Path(gan.__file__).parent / "py.typed").exists()
    with pytest.raises(AttributeError, match="no attribute 'lod'"):
        _ = gan.lod
