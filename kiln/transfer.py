"""How far a download is: a bar on a terminal, a line now and then elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kiln import console

# A line for every quarter, but no flood of them on a fast link, and a sign of life on a slow one.
SHARE, LEAST_SECONDS, MOST_SECONDS = 0.25, 2.0, 10.0


def size(value: float) -> str:
    """Return a number of bytes as people say it: `22.9 MB` (10^6 bytes)."""
    return f"{value / 1e6:.1f} MB" if value >= 1e5 else f"{value / 1e3:.1f} kB"


class Lines:
    """Says how far a transfer is, of `total` bytes (0: unknown), at the clock's seconds."""

    def __init__(self, title: str, total: int, done: int, now: float) -> None:
        """Begin with `done` bytes at `now`."""
        self._title, self._total = title, total
        self._begin = self._said = (now, done)

    def update(self, done: int, now: float) -> str:
        """Return the line that is due at `now` with `done` bytes here, or nothing."""
        waited, gained = now - self._said[0], done - self._said[1]
        quarter = self._total and gained >= SHARE * self._total and waited >= LEAST_SECONDS
        if done == self._total or not (quarter or waited >= MOST_SECONDS):
            return ""
        self._said = (now, done)
        share = f"{done * 100 // self._total}% of {size(self._total)}" if self._total else size(done)
        rate = (done - self._begin[1]) / max(now - self._begin[0], 1e-3)
        return f"{self._title}: {share}, {size(rate)}/s"


@contextmanager
def transfer(title: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    """Show a transfer of `total` bytes (0: unknown) of which `done` are here.

    The function that it gives is told the bytes so far.
    """
    if console.interactive():
        with _bar(title, total, done) as update:
            yield update
        return
    lines = Lines(title, total, done, time.monotonic())

    def tell(value: int) -> None:
        if line := lines.update(value, time.monotonic()):
            console.say(line)

    yield tell


@contextmanager
def _bar(title: str, total: int, done: int) -> Iterator[Callable[[int], None]]:
    """Show a bar with size, speed and time left, that goes away at the end."""
    # rich costs 100 ms to import, which plain lines need not pay.
    from rich import progress
    from rich.console import Console
    from rich.table import Column

    # The bar alone gives way on a narrow terminal.
    columns = (
        progress.TextColumn("{task.description}"), progress.BarColumn(bar_width=None),
        progress.DownloadColumn(table_column=Column(no_wrap=True)),
        progress.TransferSpeedColumn(table_column=Column(no_wrap=True)),
        progress.TimeRemainingColumn(table_column=Column(no_wrap=True)),
    )  # fmt: skip
    with progress.Progress(*columns, console=Console(stderr=True), transient=True, expand=True) as bar:
        task = bar.add_task(title, total=total or None, completed=done)

        def tell(value: int) -> None:
            bar.update(task, completed=value)

        yield tell
