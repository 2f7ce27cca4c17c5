"""`gan train`: the same program as train.py, from any folder, with the user's own configurations and code."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gan.commands import train as command
from gan.config import paths
from gan.runs import checkpoints
from gan.utils import code, errors
from gan.utils.errors import UserError
from tests.conftest import ROOT, TINY, environment, run_python
from tests.patience import PATIENCE, wait_for

NETS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, size, channels, latent_dim):
        super().__init__()
        self.latent_dim, self.shape = latent_dim, (channels, *size)
        self.layer = nn.Linear(latent_dim, channels * size[0] * size[1])

    def forward(self, z, label=None):
        return torch.tanh(self.layer(z)).reshape(-1, *self.shape)


class Stripes:
    where, title, trusted = "data=stripes", "generating stripes", False  # untrusted: other processes decode

    def __init__(self):
        self.identity, self.keys, self.stamps = ["stripes"], [str(n) for n in range(24)], [0] * 24
        self.names = self.keys

    def classes(self, option):
        return [], [0] * 24

    def content(self, index):
        return self.keys[index].encode()

    def decode(self, data, decoder):
        from PIL import Image

        yield decoder.fit_image(Image.new("RGB", (16, 16), (10 * int(data), 0, 0)))
"""
MODEL = """# A linear generator
defaults:
  - /gan@_here_
  - _self_
generator:
  _target_: own_nets.Net
  size: ${sides:${data.size}}
  channels: ${data.channels}
  latent_dim: 8
discriminator:
  _target_: gan.networks.dcgan.Discriminator
  size: ${sides:${data.size}}
  channels: ${data.channels}
  width: 4
"""
DATA = """# Stripes
defaults:
  - folder
  - _self_
root: null
source:
  _target_: own_nets.Stripes
"""
EXPERIMENT = """# @package _global_
# Mine
defaults:
  - override /model: linear
  - override /data: stripes
  - _self_
seed: 5
"""
OWN = ["--code", "my code", "--config-dir", "my conf"]
OPTIONS = [word for word in TINY if not word.startswith(("model.generator", "model.discriminator", "data.num_images"))]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty folder but for own code, own configurations, and files with the names of modules of Python."""
    own = {"model/linear": MODEL, "data/stripes": DATA, "experiment/mine": EXPERIMENT}
    files = {"my code/own_nets.py": NETS, **{f"my conf/{name}.yaml": text for name, text in own.items()}}
    for name, text in (files | {"random.py": "raise SystemExit('imported')", "data.py": "raise SystemExit()"}).items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.fixture(autouse=True)
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forget the options of a command line."""
    monkeypatch.setattr(code, "_folders", [])
    monkeypatch.setattr(paths, "_own", [])
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield
    errors.started_as(errors.COMMAND)


def installed(folder: Path) -> list[str]:
    """Return what follows `python` for `gan` as pip installs it: a script, which does not import from its folder."""
    script = folder / "bin" / "gan"
    script.parent.mkdir(exist_ok=True)
    script.write_text("import sys\nfrom gan.cli import main\nif __name__ == '__main__':\n    sys.exit(main())\n")
    return [str(script)]


def gan(folder: Path, *words: str, check: int = 0) -> subprocess.CompletedProcess[str]:
    run = run_python([*installed(folder), *words], folder)
    assert run.returncode == check, f"exit {run.returncode}\n{run.stdout}\n{run.stderr}"
    return run


# ---- the command line


def test_our_options_are_taken_and_the_others_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    words = ["-m", "--code", "my code", "seed=0,1", "--config-dir=my conf", "model=dcgan", "--cfg", "job"]
    assert command.take_flags(words, errors.COMMAND) == ["-m", "seed=0,1", "model=dcgan", "--cfg", "job"]
    assert sys.path[-1] == str(folder / "my code") and paths.own() == [folder / "my conf"]
    assert errors.child_words() == ["train", "--code=my code", "--config-dir=my conf"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--code"], "--code: expected one argument"),
        (["--config-dir"], "--config-dir/-cd: expected one argument"),
        (["--code=nowhere"], "--code nowhere: no such folder"),
        (["--config-dir", "nowhere"], "--config-dir nowhere: no such folder"),
        (["--config-dir=.", "--config-dir=."], "--config-dir .: give --config-dir once"),
    ],
)
def test_wrong_options(words: list[str], said: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    with pytest.raises(UserError, match=said):
        command.take_flags(words, errors.COMMAND)


@pytest.mark.skipif(sys.platform == "win32", reason="head")
def test_help_may_be_cut() -> None:
    pipe = f"{sys.executable} train.py --help | head -n 1"
    run = subprocess.run(["bash", "-o", "pipefail", "-c", pipe], cwd=ROOT, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "") and run.stdout.startswith("usage: python train.py")


def test_import_needs_neither_torch_nor_hydra() -> None:
    """Processes that decode images import this module."""
    words = "import sys, gan.commands.train; print([m for m in ('torch', 'hydra', 'omegaconf') if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


# ---- whole runs


@pytest.mark.slow
def test_own_networks_data_and_configurations(folder: Path) -> None:
    """Train, resume and generate, with workers that load the data and processes that decode it."""
    mine = [*OWN, "experiment=mine", *OPTIONS]
    gan(folder, "train", *mine, "images=16", "data.num_workers=1", "hydra.run.dir=runs/a")
    run = folder / "runs" / "a"
    assert checkpoints.checkpoint_path(run, 16).exists()
    error = gan(folder, "train", "resume=runs/a", "images=24", check=2).stderr
    assert "add --config-dir DIR" in error and error.count("\n") == 1
    error = gan(folder, "train", *OWN[2:], "resume=runs/a", "images=24", check=2).stderr
    assert "own_nets is your own code, add --code DIR" in error and error.count("\n") == 1
    gan(folder, "train", *OWN, "resume=runs/a", "images=24")
    assert checkpoints.checkpoint_path(run, 24).exists()
    assert "add --code DIR" in gan(folder, "generate", "runs/a", "--out", "out", check=2).stderr
    gan(folder, "generate", "runs/a", "--out", "out", "--seeds", "0", *OWN[:2])
    assert (folder / "out" / "0.png").is_file()


@pytest.mark.slow
def test_a_sweep_on_two_devices(folder: Path) -> None:
    words = [*OWN, "-m", "experiment=mine", "seed=0,1", *OPTIONS, "trainer.devices=2", "images=8"]
    run = gan(folder, "train", *words, "hydra.sweep.dir=s")
    assert sorted(path.name for path in (folder / "s").iterdir() if path.is_dir()) == ["0", "1"]
    for job in "01":
        assert checkpoints.checkpoint_path(folder / "s" / job, 8).exists()
        (line,) = (folder / "s" / job / "environment.jsonl").read_text().splitlines()  # one rank wrote it
        assert "--code=my code" in json.loads(line)["command"]
    assert "MEMBER: 2/2" in run.stderr


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="sends SIGINT")
def test_ctrl_c_names_the_command_and_its_options(folder: Path) -> None:
    words = [sys.executable, *installed(folder), "train", *OWN, "experiment=mine", *OPTIONS, "images=1000000"]
    pipe = subprocess.PIPE
    variables = environment() | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [*words, "hydra.run.dir=a"], cwd=folder, env=variables, text=True, stdout=pipe, stderr=pipe
    )
    wait_for(lambda: bool(checkpoints.list_checkpoints(folder / "a")), process)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    said = "continue with: gan train '--code=my code' '--config-dir=my conf' resume="
    assert said in out.strip().splitlines()[-1]
