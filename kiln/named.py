"""What the words of `invoke add` and `invoke drop` name: releases, and behind `target` or `package`, these."""

from collections.abc import Sequence

from msgspec import Struct

from kiln.errors import SelectionError

_KINDS = {"release": "releases", "target": "targets", "package": "packages"}


class Named(Struct, frozen=True, kw_only=True):
    """What is added to a family, or dropped from it."""

    releases: tuple[str, ...] = ()
    """Versions and series: `3.13.5`, `3.13`."""
    targets: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()


def parse(words: Sequence[str], command: str) -> Named:
    """Return what words name: `3.12 3.11`, `target jammy`, `package celery gunicorn`, or all of them at once.

    Raises SelectionError for a word that says what comes and is the last one, and for no word at all.
    """
    found: dict[str, list[str]] = {name: [] for name in _KINDS.values()}
    kind, expected = "releases", ""
    for word in words:
        if word in _KINDS and not expected:
            kind, expected = _KINDS[word], word
        else:
            found[kind].append(word)
            expected = ""
    if expected or not any(found.values()):
        about = f"{expected}: of which name? write" if expected else "name what to take; for example"
        example = {"add": "add 3.13.15, add target forky --like trixie, add package hypercorn"}
        shown = example.get(command, "drop 3.12, drop target jammy, drop package celery")
        raise SelectionError(f"{about} `invoke {shown.replace(', ', '`, `invoke ')}`")
    return Named(**{name: tuple(dict.fromkeys(values)) for name, values in found.items()})
