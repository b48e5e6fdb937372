"""S3 for the store's tests: moto's server over real HTTP."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import uuid
from collections.abc import Iterator

import pytest

SERVER = """
    import time
    from moto.server import ThreadedMotoServer
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    time.sleep(3600)
"""
ACCESS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing-not-a-secret", "AWS_REGION": "eu-west-1"}


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of moto's server, in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SERVER)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert process.stdout is not None
    yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.fixture
def s3_prefix(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix of a new bucket, and an environment that reaches it."""
    import boto3

    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**ACCESS, "AWS_ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(name, value)
    bucket = f"capacity-{uuid.uuid4()}"
    client = boto3.client("s3", region_name="eu-west-1", endpoint_url=s3_server)
    client.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
    client.close()
    return f"s3://{bucket}/some/prefix"
