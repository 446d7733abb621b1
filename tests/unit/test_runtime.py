"""The container runtime's own failures are told from those of an image."""

import pytest

from kiln import runtime

PIPE = "unable to start container process: read init-p: connection reset by peer"
START = f"""Error response from daemon: failed to create task for container: failed to create shim task: \
OCI runtime create failed: runc create failed: {PIPE}: unknown
Error: failed to start containers: kiln-test"""


@pytest.mark.parametrize(
    "words",
    [
        START,
        f"OCI runtime exec failed: exec failed: {PIPE}: unknown",
        f"runc run failed: {PIPE} (exit code: 1)",
        "Error response from daemon: OCI runtime start failed: runc did not terminate successfully: exit status 1",
        "Error response from daemon: failed to start shim: start failed: ttrpc: closed: unknown",
    ],
)
def test_the_runtime_is_at_fault(words):
    """These say nothing about an image: the process was not started."""
    assert runtime.at_fault(words)


@pytest.mark.parametrize(
    "words",
    [
        (
            'OCI runtime exec failed: exec failed: unable to start container process: exec: "python3": '
            "executable file not found in $PATH: unknown"
        ),
        (
            'OCI runtime create failed: runc create failed: unable to start container process: exec: "/start": '
            "permission denied: unknown"
        ),
        'runc run failed: unable to start container process: chdir to cwd ("/app") set in config.json failed: no such file',
        "Error response from daemon: unable to find user app: no matching entries in passwd file",
        "Traceback (most recent call last):\nModuleNotFoundError: No module named 'ssl'",
        "make: *** [Makefile:1] Error 1 (exit code: 2)",
        "",
    ],
)
def test_the_image_or_the_call_is_at_fault(words):
    """Repeating these would only hide a broken image."""
    assert not runtime.at_fault(words)


def test_the_whole_reason_is_kept():
    """Docker's last line names the container alone; the reason stands above it."""
    assert runtime.reason(START) == START.replace("\n", "; ")
    assert runtime.reason("Traceback:\n  somewhere\nError: no module\nValueError: 3\n") == "ValueError: 3"
    assert runtime.reason("") == "no output"
