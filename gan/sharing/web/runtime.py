"""Find onnxruntime-web, the library that runs ONNX models in a browser (MIT license, Microsoft).

Its package comes from the npm registry, is stored in the cache, and is verified each time it is read. No torch here,
so that a missing file is reported at once.
"""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import urllib.request
from pathlib import Path

from gan.common.errors import UserError, reason
from gan.common.files import write_atomically

FILE = "onnxruntime-web-1.30.0.tgz"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/{FILE}"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # npm's "integrity"
SIZE = 33_106_585  # bytes
CPU = {"runtime.mjs": "ort.wasm.bundle.min.mjs", "runtime.wasm": "ort-wasm-simd-threaded.wasm"}
GPU = {"runtime_gpu.mjs": "ort.webgpu.bundle.min.mjs", "runtime_gpu.wasm": "ort-wasm-simd-threaded.asyncify.wasm"}


def find(given: Path | None = None) -> bytes:
    """Return the package, after verifying it.

    Args:
        given: its file; None for the file in the cache, which is downloaded if it is missing.

    Raises:
        UserError: the file cannot be read or downloaded, or is another one.
    """
    path = given or cached()
    if given is None and not path.is_file():
        download(path)
    try:
        with open(path, "rb") as file:
            data = file.read(SIZE + 1)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({reason(error)}); give {FILE} from {URL}") from error
    if not is_right(data):
        raise UserError(f"{path}: is not {FILE}; " + (f"download it from {URL}" if given else "remove the file"))
    return data


def cached() -> Path:
    """Return the path of the package in the cache."""
    from gan.data.decoding.cache import folder  # imports NumPy

    return folder() / "web" / FILE


def is_right(data: bytes) -> bool:
    return len(data) == SIZE and base64.b64encode(hashlib.sha512(data).digest()).decode() == SHA512


def download(path: Path) -> None:
    """Download the package into the cache.

    Raises:
        UserError: it cannot be downloaded or written, or is not the expected one.
    """
    print(f"downloading {URL} ({SIZE / 1e6:.0f} MB) into {path.parent}", flush=True)
    try:
        with urllib.request.urlopen(URL, timeout=30) as answer:
            data = answer.read(SIZE + 1)
        if not is_right(data):
            raise UserError(f"{URL}: is not the expected file; download it elsewhere and give it with --runtime")
        write_atomically(path, lambda file: file.write(data))
    except OSError as error:  # an error of the network or of the disk
        why = getattr(error, "reason", None) or reason(error)
        raise UserError(
            f"{URL}: cannot be downloaded ({why}); download it on another machine and give it with --runtime {FILE}"
        ) from error


def members(package: bytes, gpu: bool) -> dict[str, bytes]:
    """Return the files that a page needs, by name.

    Args:
        gpu: also return those for WebGPU.
    """
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        found = {}
        for name, member in (CPU | (GPU if gpu else {})).items():
            file = archive.extractfile(f"package/dist/{member}")
            assert file is not None
            found[name] = file.read()
    return found
