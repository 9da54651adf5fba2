"""What scenario tests share: where tests/stack.py is, and servers in folders of their own."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from stack import Server  # noqa: E402


@pytest.fixture
def place(tmp_path_factory):
    """Makes servers, each in a folder of its own, and ends them."""
    made = []

    def make(**env):
        made.append(Server(tmp_path_factory.mktemp("server") / "s", **env))
        return made[-1]

    yield make
    for s in made:
        s.finish()
