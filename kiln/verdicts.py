"""What would change in recorded images, for people and for machines."""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec
from msgspec import Struct

from kiln import columns


class Change(Struct, frozen=True, kw_only=True):
    """A package that a build would install in another version."""

    name: str
    old: str
    new: str


class Verdict(Struct, frozen=True, kw_only=True):
    """What a build of one image would change today."""

    id: str
    platform: str
    reference: str
    """What `docker run` takes for it."""
    built: str
    """When, in UTC."""
    state: Literal["fresh", "stale", "unknown"]
    packages: tuple[Change, ...] = ()
    """Sorted by name."""
    reasons: tuple[str, ...] = ()
    """What else would change, or why the image cannot be judged."""


def table(verdicts: Sequence[Verdict], width: int | None = None) -> str:
    """Return the verdicts for people, to fit a width: a line for each image, and below it what would change."""
    heads = columns.fit([(one.id, one.platform, _state(one)) for one in verdicts], width).blocks
    lines = []
    for one, head in zip(verdicts, heads, strict=True):
        changes = [f"{change.name}: {change.old} -> {change.new}" for change in one.packages]
        below = [columns.fill(f"    {text}", width, indent=" " * 6) for text in (*changes, *one.reasons)]
        lines += [head, *below]
    return "\n".join([*lines, "", columns.fill(_summary(verdicts), width)])


def _state(one: Verdict) -> str:
    return f"{one.state} ({_count(len(one.packages), 'package')})" if one.packages else one.state


def dumps(verdicts: Sequence[Verdict]) -> str:
    """Return the verdicts for machines."""
    return msgspec.json.format(msgspec.json.encode(verdicts), indent=2).decode()


def exit_code(verdicts: Iterable[Verdict]) -> int:
    """Return what `--exit-code` gives: 2 if an image is stale, else 1 if one cannot be judged, else 0."""
    states = {one.state for one in verdicts}
    return 2 if "stale" in states else 1 if "unknown" in states else 0


def _count(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"


def _summary(verdicts: Sequence[Verdict]) -> str:
    """Return what the verdicts come to."""
    stale = sum(one.state == "stale" for one in verdicts)
    unknown = sum(one.state == "unknown" for one in verdicts)
    total = _count(len(verdicts), "image")
    text = f"nothing to do: of {total} none would change"
    if stale:
        text = f"{stale} of {total} would change if built today; `invoke build --no-cache ID` takes newer packages"
    return f"{text}; {unknown} cannot be judged" if unknown else text
