"""How tests wait for another process, much longer than a busy machine needs before they call it stuck."""

import time
from collections.abc import Callable
from typing import Any

PATIENCE = 600  # seconds; below the half hour of a collective, which tests must tell apart


def wait_for(condition: Callable[[], Any], process: Any = None, interval: float = 0.05) -> None:
    """Wait until a condition holds. Fail if it does not in time, or if the process (Popen or Forked) ends before."""
    end = time.monotonic() + PATIENCE
    while not condition():
        if (process is not None and process.poll() is not None) or time.monotonic() > end:
            said = ""
            if process is not None:
                process.kill()
                said = " ".join(str(text) for text in process.communicate() if text)
            raise AssertionError(f"the process ended, or took too long: {said}")
        time.sleep(interval)
