"""What distributions' archives have now: the versions that a build would install today."""

import functools
import hashlib
import io
import posixpath
import re
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from kiln import apt, aptview, bootstrap, emulation, paths, process, reach
from kiln.contents import Contents, apk_packages
from kiln.errors import AptError, CommandError, KilnError
from kiln.model import Target

_KEYRING_FOLDERS = re.compile(r"(?<![\w./-])(?=/(?:etc/apt|usr/share)/keyrings/)")
# By apk's order: what a version without a suffix comes before and after.
_SUFFIXES = {"alpha": -4, "beta": -3, "pre": -2, "rc": -1, "": 0, "cvs": 1, "svn": 2, "git": 3, "hg": 4, "p": 5}
_APK_VERSION = re.compile(r"(\d+(?:\.\d+)*)([a-z]?)((?:_[a-z]+\d*)*)(?:~[0-9a-f]+)?(?:-r(\d+))?")


def newest(target: Target, platform: str, contents: Contents, names: Iterable[str]) -> dict[str, str]:
    """Return by name the version of packages that a target's archive has for a platform.

    Debian's archive is asked through this machine's own package sources where they have it; else,
    and for others, the sources that the image itself has are asked. Names that none has are left out.
    KilnError where that cannot be found out in full.
    """
    if contents.system == "apk":
        return _apk(contents.files)
    architecture = emulation.ARCHITECTURES.get(platform)
    if contents.system != "dpkg" or architecture is None:
        raise AptError(f"{target.title} on {platform}: Kiln cannot read the packages of such images")
    hosts = view(target.release, architecture) if target.distribution == "debian" else ""
    return _ask(hosts or _images(contents.files, architecture), names)


def later(system: str, new: str, old: str) -> bool:
    """Tell whether a version comes after another one, in the order of `dpkg` or `apk`."""
    if new == old:
        return False
    return apk_order(new) > apk_order(old) if system == "apk" else _dpkg_later(new, old)


@functools.cache
def _dpkg_later(new: str, old: str) -> bool:
    try:
        done = subprocess.run(["dpkg", "--compare-versions", new, "gt", old], capture_output=True, check=False)
    except FileNotFoundError:
        raise AptError("dpkg: not on this machine, and with it no order of versions; this needs Debian") from None
    return done.returncode == 0


def apk_order(version: str) -> tuple[object, ...]:
    """Return what sorts versions as apk does: `1.2_rc1` < `1.2` < `1.2a` < `1.2.1`, `-r9` < `-r10`."""
    found = _APK_VERSION.fullmatch(version)
    if found is None:
        raise KilnError(f"{version!r}: not a version of an Alpine package; look at the image's package database")
    numbers, letter, suffixes, revision = found.groups()
    # A number with a zero before it is a fraction: 1.05 comes before 1.1.
    parts = tuple((0, 0, part) if part.startswith("0") else (1, int(part), "") for part in numbers.split("."))
    named = [re.fullmatch(r"([a-z]+)(\d*)", suffix) for suffix in suffixes.split("_")[1:]]
    after = tuple((_SUFFIXES.get(one[1], 0), int(one[2] or 0)) for one in named if one)
    return parts, letter, (*after, (0, 0)), int(revision or 0)


def policy(text: str) -> dict[str, str]:
    """Return the candidates that `apt-cache policy` names, by package."""
    found = re.findall(r"^(\S+):\n  Installed: .*\n  Candidate: (\S+)$", text, re.MULTILINE)
    return {name: version for name, version in found if version != "(none)"}


def repositories(text: str) -> list[str]:
    """Return the addresses in an `/etc/apk/repositories`; tagged ones serve only packages that ask for the tag."""
    lines = (line.strip() for line in text.splitlines())
    return [line.rstrip("/") for line in lines if re.match(r"https?://", line)]


def apk_index(archive: bytes) -> str:
    """Return the index in an `APKINDEX.tar.gz`; ValueError where there is none."""
    try:
        # A signature, which is an archive of its own, stands before it.
        with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
            member = next((one for one in tar if one.name == "APKINDEX"), None)
            content = tar.extractfile(member) if member else None
            return content.read().decode() if content else _no_index()
    except (tarfile.TarError, OSError, EOFError) as error:
        raise ValueError(str(error)) from error


def _no_index() -> str:
    raise ValueError("no file APKINDEX in it")


def _settings(architecture: str) -> list[str]:
    """Return what makes apt look at an archive as a fresh system of an architecture does."""
    return [
        f'APT::Architecture "{architecture}";',
        "#clear APT::Architectures;",
        f'APT::Architectures {{ "{architecture}"; }};',
        'Dir::State::status "/dev/null";',
        # The host's own choices between versions are not the image's.
        'APT::Default-Release "";',
        'Dir::Etc::preferences "/dev/null";',
        'Dir::Etc::preferencesparts "/dev/null";',
        'APT::Get::Always-Include-Phased-Updates "true";',
    ]


_archives = functools.cache(bootstrap.archives)


def view(suite: str, architecture: str) -> str:
    """Return the view of a Debian suite in the archive that this host has; empty where it has none."""
    try:
        keyring = apt.mirrors().keyring
    except AptError:
        return ""
    entries = "\n".join(aptview.entry("deb", uri, [name], keyring) for uri, name in _archives(suite))
    name = f"now-{suite}-{architecture}"
    aptview.refresh(name, entries, settings=_settings(architecture), current=True)
    return name


def _images(files: Mapping[str, bytes], architecture: str) -> str:
    """Return the view of the package sources that an image itself has."""
    chosen = {path: content for path, content in files.items() if not path.startswith("/etc/apt/apt.conf")}
    if not any(path.startswith("/etc/apt/sources.list") and b"deb" in content for path, content in chosen.items()):
        raise AptError("neither this machine nor the image names a package source for it; see `docs/staleness.md`")
    digest = hashlib.sha256(repr(sorted(chosen.items())).encode()).hexdigest()[:12]
    view = f"now-{digest}-{architecture}"
    root = paths.folder("apt", view) / "image"
    for path, content in chosen.items():
        paths.write_whole(root / path.lstrip("/"), _moved(content, root) if "/sources.list" in path else content)
    etc = root / "etc/apt"
    own = [
        f'Dir::Etc::sourcelist "{etc}/sources.list";', f'Dir::Etc::sourceparts "{etc}/sources.list.d";',
        'Dir::Etc::trusted "/dev/null";', f'Dir::Etc::trustedparts "{etc}/trusted.gpg.d";',
    ]  # fmt: skip
    aptview.refresh(view, settings=[*_settings(architecture), *own], current=True)
    return view


def _moved(sources: bytes, root: Path) -> bytes:
    """Return package sources with the keys that they name by their place in the image found below `root`."""
    return _KEYRING_FOLDERS.sub(lambda _: str(root), sources.decode(errors="replace")).encode()


def _ask(view: str, names: Iterable[str]) -> dict[str, str]:
    """Return apt's candidates for packages in a view."""
    config = paths.folder("apt", view) / "apt.conf"
    try:
        return policy(process.run(["apt-cache", "-c", config, "policy", *sorted(names)], env={"LC_ALL": "C"}))
    except CommandError as error:
        raise AptError(f"apt: cannot read the package lists of {view}; {error}") from error


def _apk(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return the newest version of each package in the repositories that an Alpine image has."""
    architecture = files.get("/etc/apk/arch", b"").decode().strip()
    addresses = repositories(files.get("/etc/apk/repositories", b"").decode())
    if not architecture or not addresses:
        raise KilnError("the image names no Alpine repository (/etc/apk/arch, /etc/apk/repositories)")
    found: dict[str, str] = {}
    for address in addresses:
        for package in apk_packages(_index(posixpath.join(address, architecture, "APKINDEX.tar.gz"))):
            if package.name not in found or later("apk", package.version, found[package.name]):
                found[package.name] = package.version
    return found


@functools.cache
def _index(url: str) -> str:
    """Return the text of a repository's index."""
    from requests import RequestException  # 100 ms

    try:
        with reach.session() as client:
            response = reach.ask(client, "GET", url)
            reach.accept(response)
            return apk_index(response.content)
    except (reach.Unavailable, RequestException, ValueError) as error:
        raise KilnError(f"{reach.shown(url)}: no package index to be had ({error})") from error
