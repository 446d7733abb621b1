"""What a person sees: a live display on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


def interactive() -> bool:
    """Tell whether standard error is a terminal that a person watches (and not CI)."""
    return sys.stderr.isatty() and not os.environ.get("CI") and os.environ.get("TERM") != "dumb"


def say(text: str) -> None:
    """Print one line of progress to standard error; standard output is for results."""
    print(text, file=sys.stderr, flush=True)


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
