"""The tests of package images can fail: images that are broken on purpose fail exactly the checks that they should."""

import pytest

from tests.engine.command import SITE
from tests.engine.test_broken_images import derive, failing  # noqa: F401 - a fixture


def as_root(command):
    """Return lines of a Dockerfile that run a command as root, and leave the user as it was."""
    return f"USER 0\nRUN {command}\nUSER 1000:1000\n"


def start(script):
    """Return lines of a Dockerfile that give the image another start script."""
    return as_root(f'echo "#!/bin/sh\\n{script}" > /usr/local/bin/start')


BREAK = {
    # A script that was left behind, metadata of another version, and a dependency that is not there.
    "parts": (
        as_root(
            f"rm -r /usr/local/bin/uvicorn {SITE}/idna {SITE}/idna-* "
            f"&& sed -i 's/^Version: .*/Version: 0.1/' {SITE}/uvicorn-*.dist-info/METADATA"
        ),
        {"test_console_scripts", "test_package_files", "test_package_version", "test_pip_check", "test_answers"},
    ),
    # It takes requests, and answers none.
    "silent": (
        as_root("printf 'import asyncio\\nasync def app(*_): await asyncio.sleep(99)\\n' > /app/main.py"),
        {"test_answers"},
    ),
    # Without an application, what it should do is not told again and again.
    "start": (as_root("rm /usr/local/bin/start"), {"test_answers", "test_missing_module"}),
    # A shell that keeps signals to itself.
    "deaf": (
        start("trap '' TERM; python3 -m uvicorn main:app --port 80 & wait"),
        {"test_stops", "test_stops_while_it_starts", "test_missing_module"},
    ),
    # A server that is process 1, where an early signal is lost and nobody buries orphans; and as root.
    "careless": (
        start("exec python3 -m uvicorn main:app --port 80") + "USER 0\n",
        {
            "test_buries_orphans",
            "test_stops_while_it_starts",
            "test_missing_module",
            "test_user",
            "test_command",
            "test_serves_as_user",
            "test_pip_installs_wheel",
        },
    ),
}


def test_sound_package_passes(uvicorn, tmp_path):
    """The image that the others are made from fails nothing."""
    assert failing(uvicorn.reference, uvicorn.id, tmp_path) == set()


@pytest.mark.parametrize("name", BREAK)
def test_broken_package_fails_exactly(name, derive, uvicorn, tmp_path):  # noqa: F811 - the fixture
    """What was broken is found, and nothing else is called broken."""
    lines, expected = BREAK[name]
    assert failing(derive(name, uvicorn, lines), uvicorn.id, tmp_path) == expected
