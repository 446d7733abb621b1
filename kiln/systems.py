"""Targets for systems that a family does not have yet: names, bases, and packages of the nearest one it has.

The code names are facts of Debian and Ubuntu. One that is not here is imported all the same where
its distribution is known otherwise, and counts as newer than all that are.
"""

import re
from collections.abc import Iterable, Sequence
from typing import get_args

from msgspec import Struct
from msgspec.structs import replace

from kiln.errors import ImportedError
from kiln.model import BaseImage, Catalog, Distribution, Packages, Target, TargetVariant

_DEBIAN = {
    "jessie": 8, "stretch": 9, "buster": 10, "bullseye": 11, "bookworm": 12, "trixie": 13, "forky": 14, "duke": 15,
}  # fmt: skip
_UBUNTU = {
    "trusty": "14.04", "xenial": "16.04", "bionic": "18.04", "focal": "20.04", "jammy": "22.04", "kinetic": "22.10",
    "lunar": "23.04", "mantic": "23.10", "noble": "24.04", "oracular": "24.10", "plucky": "25.04",
    "questing": "25.10", "resolute": "26.04",
}  # fmt: skip
_WINDOWS = {"windowsservercore": ("servercore", "Windows Server Core"), "nanoserver": ("nanoserver", "Nano Server")}
_NOTHING = Packages(compile=[], full=[], runtime=[])


class System(Struct, frozen=True, kw_only=True):
    """One release of an operating system, by the name that tags give it."""

    name: str
    distribution: Distribution

    @property
    def release(self) -> str:
        """Return the distribution's own name for it: `trixie`, `24.04`, `3.23`, `ltsc2025`."""
        if self.distribution == "ubuntu":
            return _UBUNTU.get(self.name, self.name)
        return {"alpine": self.name.removeprefix("alpine"), "windows": self.name.partition("-")[2]}.get(
            self.distribution, self.name
        )

    @property
    def image(self) -> str:
        """Return the image that it is published as."""
        if self.distribution == "windows":
            return f"mcr.microsoft.com/windows/{_WINDOWS[self.name.partition('-')[0]][0]}:{self.release}"
        if self.distribution == "alpine":
            return f"alpine:{self.release}"
        return f"debian:{self.name}-slim" if self.distribution == "debian" else f"ubuntu:{self.name}"

    @property
    def title(self) -> str:
        """Return how people call it."""
        if self.distribution == "windows":
            return f"{_WINDOWS[self.name.partition('-')[0]][1]} {self.release}"
        if self.distribution == "alpine":
            return f"Alpine {self.release}"
        number = _DEBIAN.get(self.name) if self.distribution == "debian" else _UBUNTU.get(self.name)
        return (
            f"{self.distribution.title()} {number} ({self.name})"
            if number
            else f"{self.distribution.title()} ({self.name})"
        )

    @property
    def age(self) -> float:
        """Return a number that is higher for a newer release of the same distribution."""
        number = str(_DEBIAN.get(self.name, "")) if self.distribution == "debian" else self.release
        if not re.fullmatch(r"\d+(\.\d+)?", number):
            return float("inf")
        major, _, minor = number.partition(".")
        return int(major) * 1000 + int(minor or 0)


def distribution_of(name: str, family: Catalog) -> Distribution | None:
    """Return whose code name a name is, by the family's own targets and by what is known."""
    if name in family.targets:
        return family.targets[name].distribution
    if name in _DEBIAN:
        return "debian"
    return "ubuntu" if name in _UBUNTU else None


def target(
    system: System, family: Catalog, platforms: Sequence[str], variants: Iterable[str], default: str
) -> tuple[Target, str]:
    """Return a target for a system, and the family's target that its packages are taken from.

    Raises ImportedError where the family has no target of the distribution.
    """
    nearest = nearest_of(system, family)
    own = family.targets.get(system.name)
    known = own.variants if own else {}
    made = Target(
        distribution=system.distribution, release=system.release, title=system.title,
        base=BaseImage(image=system.image, platforms=list(platforms)), platforms=list(platforms),
        variants={name: known.get(name, TargetVariant()) for name in variants}, default_variant=default,
        packages=family.targets[nearest].packages if nearest else _NOTHING,
    )  # fmt: skip
    if own and own.distribution == system.distribution:
        base = replace(own.base, platforms=list(platforms))
        made = replace(own, base=base, platforms=made.platforms, variants=made.variants, default_variant=default)
    return made, nearest


def nearest_of(system: System, family: Catalog) -> str:
    """Return the family's target whose packages come closest; none is needed for Windows."""
    if system.distribution == "windows":
        return ""
    ages = {
        name: System(name=name, distribution=system.distribution).age
        for name, one in family.targets.items()
        if one.distribution == system.distribution
    }
    if system.name in ages:
        return system.name
    if not ages:
        raise ImportedError(
            f"{system.name}: the family has no target of {system.distribution} to take the lists of packages from; "
            "name a versions.json that has one with --versions"
        )
    if system.age == float("inf"):
        return max(ages, key=ages.__getitem__)
    return min(ages, key=lambda name: abs(ages[name] - system.age))


DISTRIBUTIONS: tuple[str, ...] = get_args(Distribution)
