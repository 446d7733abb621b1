"""infra7ti/docker-python as a family: `versions/*.env` and `targets/`, in the layouts that it had.

Its images have no build tools and their tags do not name a variant, so `slim` is the default one.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import UNSET, Struct
from msgspec.structs import replace
from packaging.version import InvalidVersion, Version

from kiln import catalog, checks, envfile, systems
from kiln.envfile import EnvFile
from kiln.errors import ImportedError
from kiln.importing import Remarks, Result, artifacts, newest_first, own_release, variants
from kiln.model import Catalog, Distribution, Release, Target

PLATFORMS = ("linux/amd64", "linux/arm64")
"""What its README promises; no file of it says so."""

_CARRIED = {"PYTHON_RELEASE", "PYTHON_VERSION", "PYTHON_PIP_VERSION", "PYTHON_SETUPTOOLS_VERSION", "REQUIRES"}
# What Kiln does anyway, so that nothing is lost.
_SAME = {("PREFIX", "/usr/local"), ("PYTHON_EXTRA_BUILD_OPTS", "")}
_WHY = {
    "BUILD_REQUIRES": "the family knows what to compile with",
    "PYTHON_GET_PIP_URL": "ensurepip brings pip",
    "PYTHON_GET_PIP_SHA256": "ensurepip brings pip",
}
_ARGUMENT = re.compile(r"^ARG[ \t]+DISTRO=[\"']?(?P<distro>[a-z]+)[\"']?[ \t]*$", re.MULTILINE)
_MAKE = re.compile(r"^targets[ \t]*:?=[ \t]*targets/(?P<target>\S+)[ \t]*$", re.MULTILINE)


class _Setting(Struct, frozen=True, kw_only=True):
    """A Python on some targets, and the file that says so."""

    file: EnvFile
    series: str
    version: str
    targets: tuple[str, ...]


def convert(folder: Path, family: Catalog, repository: str = "infra7/python", default_target: str = "") -> Result:
    """Return a checkout as a family; `family` lends lists of packages, labels and digests that it knows.

    Raises ImportedError or CatalogError with the file and the place in it.
    """
    remarks = Remarks()
    names = _targets(folder, remarks)
    default = _default(folder, names, default_target, remarks)
    names.sort(key=lambda name: (name != default, name))
    made = {name: _target(folder / "targets" / name, family, remarks) for name in names}
    settings = list(_settings(folder, names, remarks))
    builders = {name: envfile.read(path) for name in names if (path := _builder(folder, name)).is_file()}
    _left([*(one.file for one in settings), *builders.values()], folder, remarks)
    if not settings:
        raise ImportedError(f"{folder}: no versions/*.env and no targets/*/pyenv.*; name a checkout of docker-python")
    releases = newest_first(_releases(settings, names, default, family, remarks))
    remarks.add(f"labels and origins of sources are those of this family; repository {repository}")
    imported = Catalog(
        registry="", repository=repository, labels=family.labels, sources=family.sources,
        targets={name: _with_runtime(name, made[name], settings, builders) for name in names},
        variants=variants(family, {"slim"}), releases=releases, exclusions=[], schema=family.schema,
    )  # fmt: skip
    return Result(imported, remarks, folder)


def _targets(folder: Path, remarks: Remarks) -> list[str]:
    try:
        folders = sorted(one for one in (folder / "targets").iterdir() if one.is_dir())
    except OSError as error:
        raise ImportedError(
            f"{folder / 'targets'}: cannot be read ({error.strerror}); name a checkout of infra7ti/docker-python"
        ) from None
    names = []
    for one in folders:
        if not re.fullmatch(r"[a-z]+", one.name):
            raise ImportedError(
                f"{folder / 'targets'}: found {catalog.short(one.name)}; name a target by its code name"
            )
        if any(one.glob("pybuilder.env")) or any(one.glob("Dockerfile")) or any(one.glob("pyenv.*")):
            names.append(one.name)
        else:
            remarks.add("the target's folder holds no settings; left out", one.name)
    if not names:
        raise ImportedError(f"{folder / 'targets'}: holds no target; name a checkout of infra7ti/docker-python")
    return names


def _default(folder: Path, names: list[str], chosen: str, remarks: Remarks) -> str:
    """Return the target that tags may leave out: as asked, as `.env` or the Makefile has it, or the first by name."""
    if chosen:
        if chosen not in names:
            raise ImportedError(f"--default-target {chosen}: no such target; use one of: {', '.join(names)}")
        return chosen
    settings = envfile.read(folder / ".env") if (folder / ".env").is_file() else None
    make = _MAKE.search(_text(folder / "Makefile"))
    values = settings.values if settings else {}
    found = [values[key].text for key in ("TARGET", "TARGET_OS") if key in values] + [make["target"] if make else ""]
    default = next((name for name in found if name in names), names[0])
    if default not in found:
        remarks.add("the default target, as the first by name; choose another with --default-target", default)
    return default


def _text(path: Path) -> str:
    """Return the text of a file that need not be there; what is not text has nothing to tell."""
    try:
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    except OSError as error:
        raise ImportedError(f"{path}: cannot be read ({error.strerror}); check the file and its rights") from None


def _target(folder: Path, family: Catalog, remarks: Remarks) -> Target:
    system = systems.System(name=folder.name, distribution=_distribution(folder, family))
    target, nearest = systems.target(system, family, PLATFORMS, ("slim",), "slim")
    if nearest != folder.name:
        remarks.add(f"lists of packages are those of {nearest}; correct the names that differ", folder.name)
    return target


def _distribution(folder: Path, family: Catalog) -> Distribution:
    match = _ARGUMENT.search(_text(folder / "Dockerfile"))
    named = match["distro"] if match else ""
    if named and named not in {"debian", "ubuntu"}:
        raise ImportedError(f"{folder / 'Dockerfile'}: found DISTRO={named}; Kiln imports debian and ubuntu")
    known = systems.distribution_of(folder.name, family)
    if named in {"debian", "ubuntu"}:
        return "debian" if named == "debian" else "ubuntu"
    if known is None:
        raise ImportedError(
            f"{folder}: of an unknown distribution; add a Dockerfile with a line ARG DISTRO=debian or ubuntu"
        )
    return known


def _builder(folder: Path, name: str) -> Path:
    return folder / "targets" / name / "pybuilder.env"


def _with_runtime(name: str, target: Target, settings: list[_Setting], builders: Mapping[str, EnvFile]) -> Target:
    """Return a target with the packages that its images promise to hold; a target's own list goes before the others."""
    own = builders.get(name)
    files = [own] if own and "REQUIRES" in own.values else [one.file for one in settings if name in one.targets]
    promised = dict.fromkeys(package for file in files for package in _packages(file))
    runtime = sorted({*target.packages.runtime, *promised})
    return replace(target, packages=replace(target.packages, runtime=runtime))


def _packages(file: EnvFile) -> list[str]:
    pattern, words = checks.FORMS["package"]
    names = file.get("REQUIRES").split()
    for name in names:
        if not re.fullmatch(pattern, name):
            line = file.values["REQUIRES"].line
            raise ImportedError(f"{file.path}: line {line}: REQUIRES: found {catalog.short(name)}; write {words}")
    return names


def _left(files: list[EnvFile], folder: Path, remarks: Remarks) -> None:
    """Remark on every setting that has no place in a family."""
    for file in files:
        for key, value in file.values.items():
            if key not in _CARRIED and (key, value.text.strip()) not in _SAME:
                name = file.path.relative_to(folder)
                if key in _WHY:
                    remarks.add(f"{key} is not carried over: {_WHY[key]}", _kind(name))
                else:
                    remarks.add(f"{key} is not carried over, found {catalog.short(value.text)}", str(name))


def _kind(name: Path) -> str:
    """Return a glob for all files that hold the same thing."""
    if name.parts[0] == "versions":
        return "versions/*.env"
    return "targets/*/pyenv.*" if name.name.startswith("pyenv.") else "targets/*/pybuilder.env"


def _settings(folder: Path, names: list[str], remarks: Remarks) -> Iterator[_Setting]:
    """Yield what is built: `versions/3.13.env` on every target, or before that, `targets/noble/pyenv.3.12` on one."""
    shared = sorted((folder / "versions").glob("*.env"))
    for path in shared:
        yield _setting(path, path.name.removesuffix(".env"), tuple(names))
    for name in names:
        for path in sorted((folder / "targets" / name).glob("pyenv.*")):
            if shared:
                remarks.add("is of the layout before versions/*.env; left out", str(path.relative_to(folder)))
                continue
            yield _setting(path, path.name.removeprefix("pyenv."), (name,))


def _setting(path: Path, series: str, targets: tuple[str, ...]) -> _Setting:
    if not re.fullmatch(r"[0-9]+\.[0-9]+", series):
        raise ImportedError(
            f"{path.parent}: found {catalog.short(path.name)}; name the file by its series, as 3.13.env"
        )
    file = envfile.read(path)
    key = "PYTHON_RELEASE" if "PYTHON_RELEASE" in file.values else "PYTHON_VERSION"
    text = file.get(key)
    if not text:
        raise ImportedError(f"{path}: has no PYTHON_RELEASE; add one such as PYTHON_RELEASE=3.13.0")
    where = f"{path}: line {file.values[key].line}: {key}"
    try:
        version = Version(text)
    except InvalidVersion:
        version = None
    if version is None or str(version) != text or not re.fullmatch(checks.VERSION, text):
        raise ImportedError(f"{where}: found {catalog.short(text)}; write it like 3.13.5 or 3.15.0rc2")
    if series != f"{version.major}.{version.minor}":
        raise ImportedError(f"{where}: found {text} in the file of {catalog.short(series)}; move or correct it")
    return _Setting(file=file, series=series, version=text, targets=targets)


def _releases(
    settings: list[_Setting], names: list[str], default: str, family: Catalog, remarks: Remarks
) -> Iterator[Release]:
    for version in dict.fromkeys(one.version for one in settings):
        same = [one for one in settings if one.version == version]
        targets = [name for name in names if any(name in one.targets for one in same)]
        if default not in targets:
            remarks.add(f"not on the default target {default}; its short tags are those of its first target", version)
        pins = _pins(same[0].file)
        if any(_pins(one.file) != pins for one in same):
            remarks.add("targets pin different versions of pip or setuptools; those of the first one stand", version)
        own = own_release(family, version)
        yield Release(
            version=version, released=own.released if own else "", flavours=["default"], targets=targets,
            artifacts=artifacts(family, version, "", remarks), pins=pins or UNSET,
        )  # fmt: skip


def _pins(file: EnvFile) -> dict[str, str]:
    pins = {"pip": file.get("PYTHON_PIP_VERSION"), "setuptools": file.get("PYTHON_SETUPTOOLS_VERSION")}
    return {name: version for name, version in pins.items() if version}
