"""Unit tests are of pure functions: a process or a socket in one is a mistake."""

import socket
import subprocess

import pytest


@pytest.fixture(autouse=True)
def _pure(monkeypatch, tmp_path):
    """Make processes and sockets raise, and keep state out of the user's cache folder."""

    def refuse(*args, **_):
        raise AssertionError(f"a unit test starts a process or opens a socket: {args}")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setenv("KILN_HOME", str(tmp_path / "kiln"))
