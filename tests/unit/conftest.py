"""Unit tests are of pure functions, over what stands in `tests/`; anything else in one is a mistake."""

import itertools
import os
import socket
import subprocess
import sys

import pytest

from tests.unit.fixtures import ROOT, wide

# What belongs to the repository's family, and differs from fork to fork and from week to week.
_FAMILY = (
    "versions.json", "versions.schema.json", "results.json", "README.md", "docs/dockerhub.md",
    "dockerfiles", "packages", "benchmarks/results.json", "benchmarks/results.svg",
)  # fmt: skip
_HOMES = itertools.count()
_FAMILYS = tuple(str(ROOT / name) for name in _FAMILY)


def _refuse_the_family(event, args):
    """Raise where a file or folder of the repository's own family is read: tests have families of their own."""
    # `os.open` (without a mode) may be of a name in another folder, as when one is removed with all that it holds.
    if event not in {"open", "os.listdir", "os.scandir"} or (event == "open" and args[1] is None):
        return
    if isinstance(args[0], str | os.PathLike):
        path = os.path.abspath(args[0])  # noqa: PTH100 - for each file that is opened at all
        if path.startswith(_FAMILYS) and (path in _FAMILYS or path.startswith(tuple(f"{one}/" for one in _FAMILYS))):
            raise AssertionError(f"{path} is the repository's own: unit tests read the families of tests/families")


sys.addaudithook(_refuse_the_family)


@pytest.fixture(autouse=True)
def _pure(monkeypatch, tmp_path_factory):
    """Make processes and sockets raise, and keep state out of the user's cache folder."""

    def refuse(*args, **_):
        raise AssertionError(f"a unit test starts a process or opens a socket: {args}")

    monkeypatch.setattr(subprocess.Popen, "__init__", refuse)
    monkeypatch.setattr(socket, "socket", refuse)
    # A folder that is there only if the test keeps something, which most of a thousand do not.
    monkeypatch.setenv("KILN_HOME", str(tmp_path_factory.getbasetemp() / f"kiln-{next(_HOMES)}"))


@pytest.fixture(scope="session")
def ours():
    """Return the matrix of the wide family."""
    return wide()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport():
    """Fail what is skipped: a test that cannot run here tests nothing, and nobody reads of it."""
    report = yield
    if report.skipped:
        report.outcome, report.longrepr = "failed", f"a unit test is skipped: {report.longrepr}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report():
    """Fail a module that is skipped as a whole."""
    report = yield
    if report.skipped:
        report.outcome, report.longrepr = "failed", f"a module of unit tests is skipped: {report.longrepr}"
    return report
