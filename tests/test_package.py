"""The wheel, installed into an empty folder: it has the configurations and trains. The editable install as well."""

import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from PIL import Image

from gan.config.paths import CONF
from tests.conftest import ROOT, TINY, environment

pytest.importorskip("hatchling")
pytestmark = pytest.mark.slow

BUILD = "import sys; from hatchling.build import {hook}; print({hook}(sys.argv[1]))"


def developed(folder: str, names: list[str]) -> set[str]:
    """Return what a copy of the checkout leaves out. gan/runs is code, and runs/ beside it is not."""
    left_out = shutil.ignore_patterns(".*", "__pycache__", "site", "dist", "build")(folder, names)
    return set(left_out) | ({"runs"} if Path(folder) == ROOT else set())


def build(hook: str, source: Path, out: Path) -> Path:
    """Build as `pip` and `python -m build` do, with the hook of a build backend, and return the file."""
    words = [sys.executable, "-c", BUILD.format(hook=hook), str(out)]
    built = subprocess.run(words, cwd=source, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return out / built.stdout.split()[-1]


def pip(*words: str) -> None:
    words = (sys.executable, "-m", "pip", "install", "--no-deps", "--no-index", "--quiet", *words)
    subprocess.run(words, check=True, capture_output=True)


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The source distribution of the checkout, unpacked."""
    folder = tmp_path_factory.mktemp("sdist")
    source = shutil.copytree(ROOT, folder / "checkout", ignore=developed)
    with tarfile.open(build("build_sdist", source, folder)) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (unpacked,) = (folder / "unpacked").iterdir()
    return unpacked


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel, built from the source distribution."""
    return build("build_wheel", sdist, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def site(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder into which the wheel is installed, without its dependencies, which the tests share."""
    folder = tmp_path_factory.mktemp("site")
    pip("--target", str(folder), str(wheel))
    return folder


def gan(site: Path, folder: Path, *words: str) -> str:
    """Run the installed `gan` in a folder, and return its output."""
    script = site / "bin" / "gan"
    begin = [sys.executable, str(script)] if script.exists() else [sys.executable, "-m", "gan"]
    run = subprocess.run(
        [*begin, *words], cwd=folder, env=environment() | {"PYTHONPATH": str(site)}, capture_output=True, text=True
    )
    assert run.returncode == 0, f"exit {run.returncode}\n{run.stdout}\n{run.stderr}"
    return run.stdout


def test_the_wheel_has_every_configuration_and_nothing_beside_gan(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {f"gan/conf/{path.relative_to(CONF).as_posix()}" for path in CONF.rglob("*.yaml")} <= names
    assert {"gan/py.typed", "gan/__main__.py"} <= names
    page = ROOT / "gan" / "export" / "page"
    assert {path.relative_to(ROOT).as_posix() for path in page.iterdir()} <= names
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"gan", "retro_gan"}
    assert len([name for name in names if name.endswith(".py")]) == len(list((ROOT / "gan").rglob("*.py")))


def test_the_source_distribution_has_what_the_tests_need(sdist: Path) -> None:
    names = {path.name for path in sdist.iterdir()}
    assert {"gan", "conf", "tests", "docs", "notebooks", "train.py", "pyproject.toml", "README.md", "LICENSE"} <= names


def test_it_trains_from_an_empty_folder(site: Path, tmp_path: Path) -> None:
    empty = tmp_path / "an empty folder"
    empty.mkdir()
    assert gan(site, empty, "--version").startswith("retro-gan 0.")
    page = gan(site, empty, "train", "--help")
    assert page.startswith("usage: gan train") and " r3gan " in page and "length of the run in images" in page
    said = gan(site, empty, "train", *TINY, "images=8")
    (run,) = (empty / "runs").iterdir()
    assert (run / "checkpoints" / "images-000000008.ckpt").is_file() and f"runs/{run.name}: " in said
    gan(site, empty, "generate", f"runs/{run.name}", "--seeds", "0-3", "--out", "images", "--grid")
    assert len(list((empty / "images").glob("*.png"))) == 5
    gan(site, empty, "train", f"resume=runs/{run.name}", "images=16")
    assert (run / "checkpoints" / "images-000000016.ckpt").is_file()
    assert sorted(path.name for path in empty.iterdir()) == ["images", "runs"]


def test_the_models_of_the_zoo_come_with_the_wheel(wheel: Path, site: Path, tmp_path: Path) -> None:
    zoo = ROOT / "gan" / "models" / "zoo"
    files = {path.relative_to(ROOT).as_posix() for path in zoo.rglob("*") if path.is_file()}
    assert files <= set(zipfile.ZipFile(wheel).namelist()) and wheel.stat().st_size < 40e6
    assert "zoo:press" in gan(site, tmp_path, "zoo")
    Image.new("RGB", (60, 40), "tan").save(tmp_path / "photo.jpg")
    gan(site, tmp_path, "translate", "zoo:press", "photo.jpg", "printed")
    with Image.open(tmp_path / "printed" / "photo.jpg") as image:
        assert image.size == (60, 40)


def test_an_editable_install_uses_the_checkout(tmp_path: Path) -> None:
    """Changes of conf/ take effect. pip copies conf/ into the environment as well, where nothing reads it."""
    source = shutil.copytree(ROOT, tmp_path / "checkout", ignore=developed)
    wheel = build("build_editable", source, tmp_path)
    venv.create(tmp_path / "venv", with_pip=False, symlinks=os.name != "nt")
    (site,) = (tmp_path / "venv").rglob("site-packages")
    pip("--target", str(site), str(wheel))
    (site / "dependencies.pth").write_text("\n".join(path for path in sys.path if path.endswith("-packages")))
    (python,) = [path for path in (tmp_path / "venv").glob("*/python*") if path.stem == "python"]
    code = "from gan.config import paths; from gan.config.help import help_page; print(paths.CONF); help_page()"
    variables = {name: value for name, value in environment().items() if name != "PYTHONPATH"}
    run = subprocess.run([python, "-c", code], cwd=tmp_path, env=variables, capture_output=True, text=True)
    assert run.stdout.strip() == str(source / "conf"), run.stderr


@pytest.mark.parametrize("constraints", ["locked.txt", "floors.txt"])
def test_versions_that_ci_installs_are_allowed(constraints: str) -> None:
    lines = [line.partition("#")[0] for line in (ROOT / ".ci" / constraints).read_text().splitlines()]
    pinned = [Requirement(line) for line in lines if line.strip()]
    versions = {each.name: each.specifier for each in pinned if each.marker is None or each.marker.evaluate()}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [word for words in project["optional-dependencies"].values() for word in words]
    for needed in map(Requirement, [*project["dependencies"], *extras]):
        for version in versions.get(needed.name.replace("_", "-").lower(), ()):
            assert needed.specifier.contains(version.version), f"{needed} and {needed.name}{version}"
