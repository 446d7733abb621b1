"""Containers for looking at images are removed, whatever happens to the process that made them."""

import os
import signal
import subprocess
import sys
import time

import pytest

from kiln import container, paths
from kiln.errors import EngineError

HOLDER = """
import sys, time
from kiln import container, engine
found = engine.bring()
with container.lease(found) as token, container.running(found, sys.argv[1], token=token, platform=sys.argv[2]):
    print(token, flush=True)
    time.sleep(600)
"""


def containers(engine, token):
    done = subprocess.run(
        engine.docker("ps", "--all", "--quiet", "--filter", f"label={container.LABEL}={token}"),
        env={**os.environ, **engine.env}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.split()


@pytest.fixture
def holder(slim):
    """Return a process that holds a container, with the token of its lease."""
    child = subprocess.Popen(
        # A shell's background job, such as CI's, ignores SIGINT, and so do its children.
        ["env", "--default-signal=INT", sys.executable, "-c", HOLDER, slim.reference, slim.platform],
        cwd=paths.ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    yield child, child.stdout.readline().strip()
    child.kill()
    child.wait()


def test_asks_and_answers(engine, slim):
    """A script sees what it is given, and the network's files, and its JSON comes back."""
    script = "import json, os; print(json.dumps({'sum': sum(GIVEN['terms']), 'files': os.listdir('/.kiln-network')}))"
    with (
        container.lease(engine) as token,
        container.running(engine, slim.reference, token=token, platform=slim.platform) as running,
    ):
        answer = running.ask(script, {"terms": [1, 2, 39]})
    assert answer["sum"] == 42
    assert "pip.conf" in answer["files"]
    assert containers(engine, token) == []


def test_a_broken_script_is_one_line(engine, slim):
    """What goes wrong in the container is one line that names the reason."""
    with (
        container.lease(engine) as token,
        container.running(engine, slim.reference, token=token, platform=slim.platform) as running,
        pytest.raises(EngineError, match=r"docker exec failed with exit code 1: ZeroDivisionError"),
    ):
        running.ask("1 / 0", {})


def test_interrupt_removes_the_container(engine, holder):
    """Ctrl-C leaves no container."""
    child, token = holder
    assert len(containers(engine, token)) == 1
    child.send_signal(signal.SIGINT)
    child.wait(30)
    assert containers(engine, token) == []


def test_next_lease_removes_what_a_killed_one_left(engine, holder):
    """After `kill -9`, the container stays until the next process starts, and not longer."""
    child, token = holder
    child.kill()
    child.wait()
    assert len(containers(engine, token)) == 1
    with container.lease(engine):
        assert containers(engine, token) == []


def test_a_live_lease_is_left_alone(engine, holder):
    """Two processes at once do not remove each other's containers."""
    child, token = holder
    with container.lease(engine):
        assert len(containers(engine, token)) == 1
    time.sleep(0.1)
    assert child.poll() is None


def test_missing_image(engine):
    """An image that the engine does not have is one line with the remedy."""
    with pytest.raises(EngineError, match=r"the engine has no image kiln-none:1; build it again"):
        container.inspect(engine, "kiln-none:1")


def test_a_command_can_be_process_1(engine, slim):
    """Without `--init`, nothing stands between; it ends by itself with its exit code, and can be started again."""
    with container.lease(engine) as token, container.running(
        engine, slim.reference, token=token, platform=slim.platform, command=("sh", "-c", "echo $$ >&2; exit 7"),
        options=(),
    ) as running:  # fmt: skip
        assert (running.wait(10), running.logs()) == (7, "1")
        running.start()
        assert (running.wait(10), running.logs()) == (7, "1\n1")


def test_one_that_does_not_end_is_an_error(engine, slim):
    """Waiting has an end, and stopping gives the exit code."""
    with container.lease(engine) as token, container.running(
        engine, slim.reference, token=token, platform=slim.platform
    ) as running:  # fmt: skip
        with pytest.raises(EngineError, match=r"still runs after 0\.1 seconds"):
            running.wait(0.1)
        assert running.stop() == 143
