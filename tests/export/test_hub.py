"""Models on a Hugging Face Hub, which runs on the loopback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gan.models import address
from gan.models.hub import download
from gan.models.shared_model import CONFIG, WEIGHTS
from gan.utils.errors import UserError
from tests.conftest import environment
from tests.loopback_hub import COMMIT, Hub, serving

pytest.importorskip("huggingface_hub")
PROGRAM = """
import json, sys
from gan.utils.errors import UserError
from gan.models.hub import download
for address in sys.argv[1:]:
    try:
        print(json.dumps(str(download(address))))
    except UserError as error:
        print(json.dumps(f"error: {error}"))
assert "torch" not in sys.modules
"""


def python(words: list[str], server: Hub | None, folder: Path, check: bool = True) -> subprocess.CompletedProcess[str]:
    endpoint = server.address if server else "http://127.0.0.1:9"  # nobody listens there
    own = {"HF_ENDPOINT": endpoint, "HF_HOME": str(folder / "hf"), "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return subprocess.run(
        [sys.executable, *words], env=environment() | own, cwd=folder, capture_output=True, text=True, check=check
    )


def downloaded(server: Hub | None, folder: Path, *addresses: str) -> list[str]:
    """Return the printed results of `download`, in a process that never imports torch."""
    lines = python(["-c", PROGRAM, *addresses], server, folder).stdout.splitlines()
    return [json.loads(line) for line in lines if line.startswith('"')]


@pytest.mark.parametrize(
    "name", ["", "user", "user/name/file", "../x", "user/name@../../x", "user/na me", "user/name?x"]
)
def test_addresses_that_are_none(name: str) -> None:
    with pytest.raises(UserError, match="give hf://USER/NAME"):
        download(f"hf://{name}")
    assert address.locate("runs/x") == "runs/x" and address.locate(Path("hf:/x")) == Path("hf:/x")


@pytest.mark.slow
def test_download(files: dict[str, bytes], tmp_path: Path) -> None:
    models = {"me/cards": {**files, "evil.py": b"x"}, "me/half": {CONFIG: files[CONFIG]}, "me/huge": files}
    with serving(models, {f"me/huge/{WEIGHTS}": 1 << 40}) as server:
        found, again, tagged = downloaded(server, tmp_path, "hf://me/cards", "hf://me/cards", f"hf://me/cards@{COMMIT}")
        assert found == again == tagged and sorted(path.name for path in Path(found).iterdir()) == [CONFIG, WEIGHTS]
        gets = [request for request in server.requests if request.startswith("GET") and request != "GET "]
        assert sorted(gets) == [f"GET {CONFIG}", f"GET {WEIGHTS}"]  # once, and no other file
        server.requests.clear()
        none, half, huge, revision = downloaded(
            server, tmp_path, "hf://me/none", "hf://me/half", "hf://me/huge", "hf://me/cards@v9"
        )
        for text in (none, half, revision):
            assert "cannot be downloaded; check the name, or run hf auth login (" in text
        assert "the limit is 4,294,967,296 bytes" in huge
        assert not {f"GET {CONFIG}", f"GET {WEIGHTS}"} & set(server.requests)
    assert downloaded(None, tmp_path, "hf://me/cards") == [found]  # without a connection
    (missing,) = downloaded(None, tmp_path, "hf://me/other")
    assert "hf://me/other: cannot be downloaded" in missing


@pytest.mark.slow
def test_commands_and_python_take_an_address(files: dict[str, bytes], shared: Path, tmp_path: Path) -> None:
    with serving({"me/cards": files}, {}) as server:
        words = ["-m", "gan.cli", "generate", "hf://me/cards@v1", "--seeds", "0-1"]
        done = python(words, server, tmp_path)
        assert done.stderr == "downloading hf://me/cards@v1, 0.0 MiB\n" and "current folder" in done.stdout
        load = 'import gan; gan.load("hf://me/cards").sample(2).save("python")'
        python(["-c", load], server, tmp_path)
        wrong = python(["-m", "gan.cli", "generate", "hf://me/none"], server, tmp_path, check=False)
        assert wrong.returncode == 2 and len(wrong.stderr.splitlines()) == 1
    python(["-m", "gan.cli", "generate", str(shared), "--seeds", "0-1", "--out", "own"], None, tmp_path)
    for name in ("0.png", "1.png"):
        expected = (tmp_path / "own" / name).read_bytes()
        assert (tmp_path / "generated" / name).read_bytes() == expected
        with Image.open(tmp_path / "own" / name) as one, Image.open(tmp_path / "python" / name) as other:
            assert one.tobytes() == other.tobytes()  # Python writes no metadata
