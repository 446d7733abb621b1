"""What a suite of Debian has, and what of it takes the place of a package of another suite."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import cache

from msgspec import Struct

from kiln import apt, aptview, candidates, paths
from kiln.errors import AptError

_FIELD = re.compile(r"^(Package|Source|Provides|Pre-Depends|Depends): (.+)$", re.MULTILINE)
# `libssl3t64` and `libssl3` are two builds of one library, `libffi7` and `libffi8` two versions of it.
_STEM = re.compile(r"-?[0-9][0-9.]*(t64)?[a-z]?$")


class Stanza(Struct, frozen=True, kw_only=True):
    """One binary package of a suite."""

    source: str
    provides: frozenset[str] = frozenset()
    depends: frozenset[str] = frozenset()


class Suite(Struct, frozen=True, kw_only=True):
    """The packages of a suite for one architecture."""

    packages: Mapping[str, Stanza]
    released: bool = True
    """Whether Debian has released it."""
    architectures: frozenset[str] = frozenset()
    """Those that it is made for."""


@cache
def read(name: str, architecture: str) -> Suite:
    """Return a Debian suite as this machine's archive has it now. Raises AptError if it cannot be read."""
    view = candidates.view(name, architecture)
    found: dict[str, Stanza] = {}
    for index in aptview.indices(view, "Packages"):
        done = subprocess.run([apt.HELPER, "cat-file", index.file], capture_output=True, check=False)
        if done.returncode:
            raise AptError(f"{index.file}: cannot be read; {done.stderr.decode(errors='replace').strip()}")
        found |= parse(done.stdout.decode(errors="replace"))
    head = _release(view, name)
    made = re.search(r"^Architectures: (.*)$", head, re.MULTILINE)
    return Suite(
        packages=found, released=not re.search(r"^Suite: (testing|unstable|experimental)$", head, re.MULTILINE),
        architectures=frozenset(made[1].split() if made else ()),
    )  # fmt: skip


def _release(view: str, name: str) -> str:
    """Return the suite's own signed description of itself."""
    lists = paths.folder("apt", view) / "lists"
    found = next(iter(sorted(lists.glob(f"*_dists_{name}_*Release"))), None)
    return found.read_text("utf-8", errors="replace") if found else ""


def parse(text: str) -> dict[str, Stanza]:
    """Return the packages of a Packages index by name."""
    found = {}
    for block in text.split("\n\n"):
        fields: dict[str, str] = dict(_FIELD.findall(block))
        if name := fields.get("Package", ""):
            found[name] = Stanza(
                source=fields.get("Source", name).split(" ")[0], provides=_names(fields.get("Provides", "")),
                depends=_names(fields.get("Depends", "")) | _names(fields.get("Pre-Depends", "")),
            )  # fmt: skip
    return found


def _names(relation: str) -> frozenset[str]:
    """Return the names in a relation such as `libc6 (>= 2.36), libssl3 | libssl1.1`."""
    parts = (part.strip() for part in re.split(r"[,|]", relation))
    return frozenset(re.split(r"[ :(]", part)[0] for part in parts if part)


def stem(name: str) -> str:
    """Return the part of a package's name that stays when its library gets another version."""
    return _STEM.sub("", name)


def successors(name: str, development: Sequence[str], old: Suite | None, new: Suite) -> list[str]:
    """Return what takes a package's place in a suite that does not have it: one name if that is certain.

    Asked are, in this order: what provides it; what the `development` packages that need it in `old` need in
    `new`; and what is built from the same source under the same name with another number.
    """
    before = old.packages.get(name) if old else None
    near = [one for one, stanza in new.packages.items() if name in stanza.provides]
    if before is None or len(near) == 1:
        return near
    named = [one for one in near if stem(one) == stem(name)]
    users = [one for one in development if old and one in old.packages and name in old.packages[one].depends]
    needed = {need for one in users if one in new.packages for need in new.packages[one].depends}
    by_use = [one for one in sorted(needed) if one in new.packages and stem(one) == stem(name)]
    same = [one for one, stanza in new.packages.items() if stanza.source == before.source and stem(one) == stem(name)]
    return named or by_use or sorted(same) or near
