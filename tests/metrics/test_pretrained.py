"""Files of weights are found and verified, and missing files are reported."""

import hashlib
from pathlib import Path

import pytest

from gan.metrics import pretrained
from gan.metrics.pretrained import MissingWeights, Weights, find
from gan.utils.errors import UserError

CONTENT = b"weights"


@pytest.fixture
def known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Weights:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "w.pth").write_bytes(CONTENT)
    made = Weights((tmp_path / "served" / "w.pth").as_uri(), hashlib.sha256(CONTENT).hexdigest(), len(CONTENT))
    monkeypatch.setitem(pretrained.KNOWN, "net", made)
    return made


def test_found_in_the_hub_in_a_folder_or_as_a_file(known: Weights, tmp_path: Path) -> None:
    for folder in (pretrained.hub(), tmp_path / "own"):
        folder.mkdir(parents=True)
        (folder / known.file).write_bytes(CONTENT)
    assert find("net") == tmp_path / "torch/hub/checkpoints/w.pth"
    assert find("net", tmp_path / "own") == find("net", tmp_path / "own/w.pth") == tmp_path / "own/w.pth"


def test_another_file_is_refused(known: Weights, tmp_path: Path) -> None:
    (tmp_path / known.file).write_bytes(b"something else")
    with pytest.raises(UserError, match="not the expected net weights"):
        find("net", tmp_path)


def test_download(known: Weights, capsys: pytest.CaptureFixture[str]) -> None:
    assert find("net", download=True).read_bytes() == CONTENT
    assert "downloading" in capsys.readouterr().out
    Path(known.url.removeprefix("file://")).unlink()
    find("net").unlink()
    with pytest.raises(MissingWeights, match="cannot be downloaded"):
        find("net", download=True)
    assert not list(pretrained.hub().iterdir())  # nor a part of it
