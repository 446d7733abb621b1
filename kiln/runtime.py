"""Failures of the container runtime itself: which these are, and how often a start is repeated for them.

runc now and then does not start a process (`read init-p: connection reset by peer`), which says
nothing about the image. Nothing has run by then, so the same call may be made again.
"""

import re

from kiln import console

ATTEMPTS = 5
"""How often a process is started before the runtime counts as broken."""

_FAULT = re.compile(
    r"OCI runtime \w+ failed|runc (?:run|create|exec|start) failed|failed to (?:create|start)(?: shim)? task"
    r"|runc did not terminate|ttrpc: closed"
)
# The same words introduce what is wrong with the image or the call: a program, user or folder that is missing.
_NOT = re.compile(r'exec:? "|exec /|executable file not found|chdir to cwd|unable to find (?:user|group)')

_DOCKER = ("Error response from daemon", "Error: failed to ")

repeats: list[str] = []
"""Why starts were repeated in this process, in order: the runtime's whole reason for each."""


def at_fault(words: str) -> bool:
    """Tell whether an error's text blames the runtime, and not the image or the call."""
    return bool(_FAULT.search(words)) and not _NOT.search(words)


def reason(words: str) -> str:
    """Return an error's text on one line: all that docker and its runtime report, else the last line."""
    lines = [line.strip() for line in words.splitlines() if line.strip()]
    docker = [line for line in lines if _FAULT.search(line) or line.startswith(_DOCKER)]
    return "; ".join(dict.fromkeys(docker)) or (lines or ["no output"])[-1]


def broken(words: str) -> str:
    """Return the report of a runtime that failed in every attempt, last with an error's text."""
    return (
        f"the engine's container runtime fails, the image is not at fault: {reason(words)}, {ATTEMPTS} times in a row"
    )


def repeat(what: str, words: str, attempt: int) -> None:
    """Note and report that `what` is started again after its attempt number `attempt` (from 1)."""
    repeats.append(reason(words))
    console.say(f"{what}: the container runtime did not start it ({repeats[-1]}); attempt {attempt + 1} of {ATTEMPTS}")
