"""What types cannot say of a family's packages."""

import re
from collections.abc import Iterable, Iterator

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from kiln.checks import PLATFORMS, Problem, form, short, twice
from kiln.model import Catalog, Package, Release

PYTHON = r"[0-9]+\.[0-9]+(\.[0-9]+((a|b|rc)[0-9]+)?|-rc)?"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"
MODULE = rf"{VARIABLE}(\.{VARIABLE})*"


def malformed(catalog: Catalog) -> Iterator[Problem]:
    """Yield every value of `packages` without the form that it must have."""
    for name, package in (catalog.packages or {}).items():
        for where, problem in _malformed(name, package, catalog):
            yield f"$.packages[{name!r}]{where}", problem


def dangling(catalog: Catalog) -> Iterator[Problem]:
    """Yield every value of `packages` that refers to nothing."""
    known = pythons(catalog.releases)
    for name, package in (catalog.packages or {}).items():
        for where, problem in (*_references(package, catalog), *_pythons(package, known)):
            yield f"$.packages[{name!r}]{where}", problem


def pythons(releases: Iterable[Release]) -> set[str]:
    """Return what packages may call releases: by version, and by series (`3.13`, or `3.15-rc` before its first)."""
    plain = [release for release in releases if "default" in release.flavours]
    series = {f"{one.series}-rc" if one.parsed.is_prerelease else one.series for one in plain}
    return {release.version for release in plain} | series


def _pythons(package: Package, known: set[str]) -> Iterator[tuple[str, str]]:
    for index, python in enumerate(package.pythons):
        if python not in known:
            yield f".pythons[{index}]", f"found {short(python)}, which no release has; remove it, or name one that is"


def _malformed(name: str, package: Package, catalog: Catalog) -> Iterator[tuple[str, str]]:
    yield from form("", "name", name)
    if name == catalog.repository.rpartition("/")[2]:
        yield "", f"found the name of the Python images' own repository {catalog.repository}; give it another"
    for field in ("requirements", "versions", "pythons", "targets", "variants", "command"):
        if not getattr(package, field) and not (field == "versions" and package.keep):
            yield f".{field}", _empty(field, name)
        yield from twice(f".{field}", getattr(package, field) if field != "command" else [])
    for index, text in enumerate(package.requirements):
        yield from _requirement(f".requirements[{index}]", text)
    for index, text in enumerate(package.versions):
        yield from _version(f".versions[{index}]", text)
    for index, text in enumerate(package.yanked or []):
        yield from _version(f".yanked[{index}]", text)
    for index, python in enumerate(package.pythons):
        if not re.fullmatch(PYTHON, python):
            problem = f"found {short(python)}; write a series such as 3.13 or a version such as 3.13.5"
            yield f".pythons[{index}]", problem
    yield from _words(package)


def _empty(field: str, name: str) -> str:
    """Return the problem of an empty list, with what fills it."""
    if field == "versions":
        return f"found an empty list; name at least one, or set `keep` and run `invoke update {name} --write`"
    return "found an empty list; name at least one or remove the package"


def _requirement(where: str, text: str) -> Iterator[tuple[str, str]]:
    try:
        found = Requirement(text)
    except InvalidRequirement:
        yield where, f"found {short(text)}, which pip does not take; write a name such as uvicorn[standard]"
        return
    if found.specifier or found.url or found.marker:
        yield where, f"found {short(text)}; write name and extras alone: versions and locks say the rest"
    if canonicalize_name(found.name) != found.name:
        yield where, f"found {short(text)}; write the name as {canonicalize_name(found.name)}"


def _version(where: str, text: str) -> Iterator[tuple[str, str]]:
    try:
        version = Version(text)
    except InvalidVersion:
        yield where, f"found {short(text)}, not a PEP 440 version; write one such as 0.38.0"
        return
    if str(version) != text or version.local or version.epoch:
        yield where, f"found {short(text)}, which no tag can be; write a plain version such as 0.38.0"


def _references(package: Package, catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield what refers to a target, variant or platform that is not there."""
    known = {"targets": list(catalog.targets), "variants": list(catalog.variants), "platforms": list(PLATFORMS)}
    for field, names in known.items():
        for index, name in enumerate(getattr(package, field) or []):
            if name not in names:
                yield f".{field}[{index}]", f"found unknown {short(name)}; use one of: {', '.join(names)}"
    for index, name in enumerate(package.targets):
        if name in catalog.targets and catalog.targets[name].distribution == "windows":
            yield f".targets[{index}]", f"found {short(name)}, but nothing is installed into Windows images; remove it"


def _words(package: Package) -> Iterator[tuple[str, str]]:
    """Yield what is no word of a command, no variable and no module."""
    for index, word in enumerate(package.command):
        if not word.strip():
            yield f".command[{index}]", "found an empty word; remove it"
    for name in package.environment or {}:
        if not re.fullmatch(VARIABLE, name):
            yield f".environment[{name!r}]", "found no name of a variable; use letters, digits and underscores"
    for index, module in enumerate(package.test.imports):
        if not re.fullmatch(MODULE, module):
            yield f".test.imports[{index}]", f"found {short(module)}; write a module's name such as uvicorn"
    if not package.test.imports:
        yield ".test.imports", "found an empty list; name the module that shows the version"
    if package.test.kind == "http" and not package.port:
        yield ".port", "found none, but the test asks for answers over http; give the port"
