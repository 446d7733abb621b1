"""What a person sees: a live display on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn, TextIO


def interactive() -> bool:
    """Tell whether standard error is a terminal that a person watches (and not CI)."""
    return sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """Print one line of progress to standard error; standard output is for results."""
    try:
        print(text, file=sys.stderr, flush=True)
    except BrokenPipeError:
        nobody_reads()


def width(stream: TextIO | None = None) -> int | None:
    """Return how many characters a line of a stream may have; None if nothing limits it.

    COLUMNS decides if it is set, then the terminal. What goes to a file or a pipe stays whole.
    """
    columns = os.environ.get("COLUMNS", "")
    if columns.isdecimal() and int(columns):
        return int(columns)
    stream = stream or sys.stdout
    try:
        return os.get_terminal_size(stream.fileno()).columns or None
    except (AttributeError, OSError, ValueError):
        return None


def nobody_reads() -> NoReturn:
    """End the command quietly, because whoever read its output has gone (`| head`)."""
    silence()
    raise SystemExit(0)


def silence() -> None:
    """Let what is still to be printed go nowhere: the interpreter flushes it at its end, and would complain."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except BrokenPipeError:
            os.dup2(nowhere, stream.fileno())
        except (AttributeError, ValueError):
            # Someone closed it before the command began, or it is a test's own.
            continue
    os.close(nowhere)


def seconds(value: float) -> str:
    """Return a duration as people say it: `8s`, `3m20s`, `1h02m`."""
    whole = round(value)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02}s"
    return f"{whole // 3600}h{whole % 3600 // 60:02}m"


@contextmanager
def step(title: str) -> Iterator[None]:
    """Show that something long is under way: a spinner on a terminal, two lines elsewhere."""
    begin = time.monotonic()
    if interactive():
        # rich costs 100 ms to import, which a command that shows no spinner need not pay.
        from rich.console import Console

        with Console(stderr=True).status(f"{title} ..."):
            yield
    else:
        say(f"{title} ...")
        yield
    say(f"{title}: done in {seconds(time.monotonic() - begin)}")
