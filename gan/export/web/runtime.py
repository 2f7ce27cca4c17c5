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

from gan.utils.errors import UserError, reason
from gan.utils.files import write_atomically

FILE = "onnxruntime-web-1.30.0.tgz"
URL = f"https://registry.npmjs.org/onnxruntime-web/-/{FILE}"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="  # npm's "integrity"
SIZE = 33_106_585  # bytes
MEMBERS = {"runtime.mjs": "ort.wasm.bundle.min.mjs", "runtime.wasm": "ort-wasm-simd-threaded.wasm"}


def find(given: Path | None = None) -> bytes:
    """Return the package, after verifying it.

    Args:
        given: its file; None for the file in the cache, which is downloaded if it is missing.

    Raises:
        UserError: the file cannot be read or downloaded, or is another one.
    """
    from gan.data.decoding.cache import folder

    path = given or folder() / "web" / FILE
    advice = f"give {FILE} from {URL} with --runtime"
    try:
        if given is None and not path.is_file():
            print(f"downloading {URL} ({SIZE / 1e6:.0f} MB) into {path.parent}", flush=True)
            with urllib.request.urlopen(URL, timeout=30) as answer:
                data = verified(answer.read(SIZE + 1), URL, advice)
            write_atomically(path, lambda file: file.write(data))
            return data
        with open(path, "rb") as opened:
            return verified(opened.read(SIZE + 1), path, advice if given else "remove the file")
    except OSError as error:  # of the network or of the disk
        why = getattr(error, "reason", None) or reason(error)
        raise UserError(f"{given or URL}: cannot be read ({why}); {advice}") from error


def verified(data: bytes, source: Path | str, advice: str) -> bytes:
    if len(data) != SIZE or base64.b64encode(hashlib.sha512(data).digest()).decode() != SHA512:
        raise UserError(f"{source}: is not {FILE}; {advice}")
    return data


def members(package: bytes) -> dict[str, bytes]:
    """Return the files that a page needs, by name."""
    files = {}
    with tarfile.open(fileobj=io.BytesIO(package)) as archive:
        for name, member in MEMBERS.items():
            file = archive.extractfile(f"package/dist/{member}")
            assert file is not None
            files[name] = file.read()
    return files
