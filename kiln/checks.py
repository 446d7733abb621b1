"""What types cannot say of a family: the form of each value, and what refers to what."""

import datetime
import re
from collections.abc import Iterator

import msgspec
from packaging.version import InvalidVersion, Version

from kiln.model import Catalog, Compression, Release, Training

# Every platform of the official images, as Docker writes it.
PLATFORMS = (
    "linux/386", "linux/amd64", "linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm64",
    "linux/mips64le", "linux/ppc64le", "linux/riscv64", "linux/s390x", "windows/amd64",
)  # fmt: skip

FREETHREADED = Version("3.13.0a0")
GZIP_BEST = 12
_COMPONENT = r"[a-z0-9]+((\.|__?|-+)[a-z0-9]+)*"
_HOST = r"[a-z0-9]+([.-][a-z0-9]+)*"
VERSION = r"[0-9]+\.[0-9]+\.[0-9]+((a|b|rc)[0-9]+)?"
_HARMLESS = "printable text without quotes, backslash, backtick, $ and ;"
FORMS = {
    "digest": (r"[0-9a-f]{64}", "64 lower-case hex digits, as sha256sum prints them"),
    "file": (r"[A-Za-z0-9][A-Za-z0-9._+-]*", "a plain file name"),
    "image": (
        rf"({_HOST}(:[0-9]{{1,5}})?/)?{_COMPONENT}(/{_COMPONENT})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?",
        "an image reference such as debian:trixie-slim",
    ),
    "index": (r"sha256:[0-9a-f]{64}", "sha256: and 64 lower-case hex digits"),
    "label": (r"[a-z0-9]+([._-][a-z0-9]+)*", "a label's name such as org.opencontainers.image.vendor"),
    "mirror": (
        r"https?://[A-Za-z0-9][A-Za-z0-9._-]*(:[0-9]{1,5})?(/[^\s?#]*)?",
        "an http(s) URL of a named host, without credentials or query",
    ),
    "name": (r"[a-z0-9]+([.-][a-z0-9]+)*", "lower-case letters and digits with single dots or hyphens"),
    "package": (r"[a-zA-Z0-9][a-zA-Z0-9+._-]*", "a package's name"),
    "pin": (r"[a-z0-9]+(-[a-z0-9]+)*", "a package's name on the index, lower-case with hyphens"),
    # Docker takes a first part without dot and port for a folder of Docker Hub.
    "registry": (
        rf"(localhost|(?=[^:]*\.){_HOST}|{_HOST}:[0-9]{{1,5}})?",
        "a host with a dot or a port, such as ghcr.io, or nothing for Docker Hub",
    ),
    "suite": (r"[a-z][a-z0-9.+-]*", "a Debian suite such as trixie"),
    "module": (r"test_[a-z0-9_]+", "a module of CPython's tests such as test_json"),
    "test": (
        r"test(_[a-z0-9_]+|(\.[A-Za-z_][A-Za-z0-9_]*)+)",
        "a test such as test_re or test.test_re.ReTests.test_locale_caching",
    ),
    "repository": (rf"{_COMPONENT}(/{_COMPONENT})*", "a repository such as kiln/python"),
}


Problem = tuple[str, str]
"""A JSON path, and what was found there with what to do."""


def malformed(catalog: Catalog) -> Iterator[Problem]:
    """Yield every value without the form that it must have."""
    yield from _unsafe(msgspec.to_builtins(catalog), "$")
    yield from _malformed(catalog)


def dangling(catalog: Catalog) -> Iterator[Problem]:
    """Yield every value that refers to nothing, of a family whose values have their form."""
    if not catalog.releases:
        yield "$.releases", "found no release, so the matrix is empty; add one"
    yield from _dangling(catalog)
    yield from _mixed_up(catalog)


def _unsafe(value: object, where: str) -> Iterator[tuple[str, str]]:
    """Yield every text that could break out of a Dockerfile line or a shell word."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key != "$schema":
                yield from _text(key, where)
                yield from _unsafe(item, f"{where}[{key!r}]" if not key.isidentifier() else f"{where}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _unsafe(item, f"{where}[{index}]")
    elif isinstance(value, str):
        yield from _text(value, where)


def _text(text: str, where: str) -> Iterator[tuple[str, str]]:
    bad = next((c for c in text if c in "\"'`$;\\" or not c.isprintable()), None)
    if bad is not None:
        yield where, f"found {bad!r} in {short(text)}, which could break out of a Dockerfile; use {_HARMLESS}"


def short(text: str) -> str:
    """Return a text as a message shows it: quoted, and not longer than 60 characters."""
    return repr(text if len(text) <= 60 else f"{text[:57]}...")


def form(where: str, name: str, value: str) -> Iterator[tuple[str, str]]:
    """Yield (where, problem and remedy) unless a text has one of the `FORMS`."""
    pattern, words = FORMS[name]
    if not re.fullmatch(pattern, value) or len(value) > 255:
        yield where, f"found {short(value)}; write {words}"


def _malformed(catalog: Catalog) -> Iterator[tuple[str, str]]:
    yield from form("$.registry", "registry", catalog.registry)
    yield from form("$.repository", "repository", catalog.repository)
    for name in catalog.labels:
        yield from form(f"$.labels[{name!r}]", "label", name)
    for index, mirror in enumerate(catalog.sources.mirrors):
        yield from form(f"$.sources.mirrors[{index}]", "mirror", mirror)
    for index, suite in enumerate(catalog.sources.debian):
        yield from form(f"$.sources.debian[{index}]", "suite", suite)
    if catalog.compression is not msgspec.UNSET:
        yield from _compression(catalog.compression)
    for name in catalog.variants:
        yield from form(f"$.variants[{name!r}]", "name", name)
    for name in catalog.targets:
        yield from form(f"$.targets[{name!r}]", "name", name)
    if catalog.interpreter and catalog.interpreter.training:
        yield from _malformed_training("$.interpreter.training", catalog.interpreter.training)
    for index, release in enumerate(catalog.releases):
        yield from _malformed_release(f"$.releases[{index}]", release)


def _compression(wanted: Compression) -> Iterator[tuple[str, str]]:
    if wanted.algorithm == "gzip" and wanted.level > GZIP_BEST:
        yield "$.compression.level", f"found {wanted.level}, but gzip ends at {GZIP_BEST}; write 1 to {GZIP_BEST}"
    if wanted.algorithm == "gzip" and wanted.large_level is not msgspec.UNSET:
        yield "$.compression.large_level", "found it with gzip, which is fast at every level; remove it"


def _malformed_training(where: str, training: Training) -> Iterator[tuple[str, str]]:
    yield from twice(f"{where}.tests", training.tests)
    if not training.tests:
        yield f"{where}.tests", "found no test; name some, or leave `training` out for CPython's own selection"
    for index, test in enumerate(training.tests):
        yield from form(f"{where}.tests[{index}]", "module", test)
    if not training.reason.strip():
        yield f"{where}.reason", "found no reason; write why these tests, with what was measured"


def _malformed_release(where: str, release: Release) -> Iterator[tuple[str, str]]:
    try:
        if str(Version(release.version)) != release.version or not re.fullmatch(VERSION, release.version):
            yield f"{where}.version", f"found {short(release.version)}; write it like 3.13.5 or 3.15.0rc2"
    except InvalidVersion:
        yield f"{where}.version", f"found {short(release.version)}, not a PEP 440 version; write one such as 3.13.5"
    if release.released and not _is_day(release.released):
        yield f"{where}.released", f"found {short(release.released)}; write the day of the release as YYYY-MM-DD"
    for index, artifact in enumerate(release.artifacts):
        yield from form(f"{where}.artifacts[{index}].file", "file", artifact.file)
        yield from form(f"{where}.artifacts[{index}].sha256", "digest", artifact.sha256)
    yield from _malformed_pins(f"{where}.pins", release.pins or {})
    if release.windows is not msgspec.UNSET:
        yield from form(f"{where}.windows.file", "file", release.windows.file)
        yield from form(f"{where}.windows.sha256", "digest", release.windows.sha256)
    for field in ("flavours", "targets"):
        if not getattr(release, field):
            yield f"{where}.{field}", "found an empty list; name at least one or remove the release"
    yield from twice(f"{where}.flavours", list(release.flavours))
    yield from twice(f"{where}.targets", release.targets)


def _malformed_pins(where: str, pins: dict[str, str]) -> Iterator[tuple[str, str]]:
    for name, version in pins.items():
        yield from form(f"{where}[{name!r}]", "pin", name)
        try:
            Version(version)
        except InvalidVersion:
            yield f"{where}.{name}", f"found {short(version)}, not a PEP 440 version; write one such as 79.0.1"


def _is_day(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text and text >= "1980"
    except ValueError:
        return False


def twice(where: str, values: list[str]) -> Iterator[tuple[str, str]]:
    """Yield (where, problem and remedy) for each value that stands in a list again."""
    for index, value in enumerate(values):
        if value in values[:index]:
            yield f"{where}[{index}]", f"found {value!r} a second time; remove one"


def _dangling(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield what refers to a target that is not there."""
    for index, release in enumerate(catalog.releases):
        for place, name in enumerate(release.targets):
            if name not in catalog.targets:
                known = ", ".join(catalog.targets) or "none is defined"
                where = f"$.releases[{index}].targets[{place}]"
                yield where, f"found unknown target {short(name)}; use one of: {known}"

    yield from _dangling_series(catalog)


def _dangling_series(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield settings of a series that no release or no target bears out."""
    targets: dict[str, set[str]] = {}
    stable = {release.series for release in catalog.releases if not release.parsed.is_prerelease}
    for release in catalog.releases:
        targets.setdefault(release.series, set()).update(release.targets)
    for series, target in (catalog.default_targets or {}).items():
        where = f"$.default_targets[{series!r}]"
        if series not in targets:
            yield where, f"found unknown series {short(series)}; use one of: {', '.join(targets)}"
        elif target not in targets[series]:
            has = ", ".join(sorted(targets[series]))
            yield where, f"found {short(target)}, which no release of the series has; use one of: {has}"
        elif catalog.targets[target].distribution == "windows":
            yield where, f"found {short(target)}, but Windows images share these tags anyway; name another target"
    if catalog.latest and catalog.latest not in stable:
        yield "$.latest", f"found {short(catalog.latest)}; use a series with a final release: {', '.join(stable)}"


def _mixed_up(catalog: Catalog) -> Iterator[tuple[str, str]]:
    """Yield what belongs to another release, as happens when an entry is copied and changed in part."""
    owner: dict[str, str] = {}
    for index, release in enumerate(catalog.releases):
        where = f"$.releases[{index}]"
        if "freethreaded" in release.flavours and release.parsed < FREETHREADED:
            yield f"{where}.flavours", "found 'freethreaded', which CPython has since 3.13 only; remove it"
        if release.windows is not msgspec.UNSET and release.windows.file != release.installer:
            yield f"{where}.windows.file", f"found {short(release.windows.file)}; write {release.installer}"
        for place, artifact in enumerate(release.artifacts):
            here, name = f"{where}.artifacts[{place}]", artifact.file
            if not name.startswith(f"Python-{release.version}.t"):
                yield f"{here}.file", f"found {short(name)}; write a tarball's name, Python-{release.version}.tar.xz"
            if (other := owner.setdefault(artifact.sha256, name)) != name:
                yield f"{here}.sha256", f"found the digest of {other} again; write that of {name}"
