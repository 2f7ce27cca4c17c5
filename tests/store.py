"""An S3 service on this machine (moto), and the environment of programs that use it."""

import os
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

SECRET = "not-to-be-printed-0123456789"


@contextmanager
def s3(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start the service with an empty bucket, and yield the address of the bucket."""
    server = pytest.importorskip("moto.server").ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}",
            "AWS_ACCESS_KEY_ID": "test-key-id",
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        import boto3

        urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", b"").close()  # of the tests before
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield "s3://bucket"
    finally:
        server.stop()


def unreachable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs look for the service where none listens."""
    assert os.environ["AWS_ENDPOINT_URL"]
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
