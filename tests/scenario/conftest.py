"""What scenario tests share: where the programs are. BUILD names the Meson tree; `make test` gives build-asan."""
import os
import pathlib
import socket

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def build():
    """The Meson tree under test."""
    tree = pathlib.Path(os.environ.get("BUILD", "build-asan"))
    return tree if tree.is_absolute() else ROOT / tree


@pytest.fixture(scope="session")
def bin_dir(build):
    """The folder with certctl-server, certctl-signer, certctl-agent and certctl-cli."""
    return build / "src/bin"


@pytest.fixture
def free_port():
    """A function that gives a loopback port nobody listens on."""

    def find():
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            return s.getsockname()[1]

    return find
