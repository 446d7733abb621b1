"""What is in an image: its packages, and where it would have newer ones from; nothing is run in it."""

import io
import posixpath
import re
import tarfile
import uuid
from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from kiln import container, paths
from kiln.engine import Engine
from kiln.errors import EngineError

BASE_LABEL = "org.opencontainers.image.base.digest"
APT_FOLDERS = ("/etc/apt", "/usr/share/keyrings")
APK_FILES = ("/etc/apk/arch", "/etc/apk/repositories")
# Where apk 3 keeps it on systems whose /lib is a link, and where it has always been.
APK_INSTALLED = ("/usr/lib/apk/db/installed", "/lib/apk/db/installed")
# dpkg's database, and the one that images without dpkg have: a file for each package.
DPKG_STATUS = ("/var/lib/dpkg/status", "/var/lib/dpkg/status.d")
_ABSENT = re.compile(r"Could not find the file|No such container:path|no such file or directory", re.IGNORECASE)


class Package(Struct, frozen=True, kw_only=True):
    """One installed package of a distribution."""

    name: str
    version: str
    architecture: str
    held: bool = False
    """Somebody asked for it to stay as it is."""


class Contents(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What Kiln wants to know of an image."""

    system: str
    """What looks after the packages: `dpkg` or `apk`; empty where there is neither."""
    packages: tuple[Package, ...]
    files: dict[str, bytes]
    """The files that say where packages come from, by their path: apt's settings and keys, apk's repositories."""
    base: str
    """The digest of the base image, from the image's label; empty where it has none."""


def find(key: str) -> Contents | None:
    """Return what is known of an image; that never changes, for the key holds its digest."""
    try:
        return msgspec.json.decode(_store(key).read_bytes(), type=Contents)
    except (FileNotFoundError, msgspec.MsgspecError):
        return None


def look(  # noqa: PLR0913 - what the engine must know, and where the answer is kept
    engine: Engine, reference: str, platform: str, *, token: str, key: str, pull: bool = False
) -> Contents:
    """Return what is in an image, and keep it under `key`; `token` is that of a lease on containers.

    EngineError where the engine does not have the image, and with `pull` cannot have it.
    """
    name = f"kiln-look-{token}-{uuid.uuid4().hex[:6]}"
    pulled = pull and not _holds(engine, reference)
    options = ("--label", f"{container.LABEL}={token}", "--platform", platform)
    try:
        # It is never started, so what it would run need not be there.
        engine.run("create", "--name", name, *options, "--pull", "missing" if pull else "never", reference, "none")
        found = _read(engine, name)
    finally:
        engine.run("rm", "--force", "--volumes", name)
        if pulled and _holds(engine, reference):
            engine.run("rmi", reference)
    keep(key, found)
    return found


def keep(key: str, found: Contents) -> None:
    """Keep what is in an image; the key holds the image's digest."""
    paths.write_whole(_store(key), msgspec.json.encode(found))


def dpkg_packages(text: str) -> list[Package]:
    """Return the packages that dpkg's database calls installed."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^(Package|Status|Version|Architecture): *(.*?) *$", stanza, re.MULTILINE))
        # One of status.d has no status: what is there is installed.
        want, _, state = fields.get("Status", "install ok installed").partition(" ")
        if "Package" in fields and "Version" in fields and state == "ok installed":
            found.append(
                Package(
                    name=fields["Package"], version=fields["Version"], held=want == "hold",
                    architecture=fields.get("Architecture", ""),
                )
            )  # fmt: skip
    return found


def apk_packages(text: str) -> list[Package]:
    """Return the packages of apk's database, or of an APKINDEX, which has the same form."""
    found = []
    for stanza in re.split(r"\n\s*\n", text):
        fields = dict(re.findall(r"^([PVA]):(.*)$", stanza, re.MULTILINE))
        if "P" in fields and "V" in fields:
            found.append(Package(name=fields["P"], version=fields["V"], architecture=fields.get("A", "")))
    return found


def unpacked(archive: bytes, folder: str) -> dict[str, bytes]:
    """Return the files in a tar that `docker cp` made of something in `folder`; links within it are followed."""
    found: dict[str, bytes] = {}
    links: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            name = posixpath.normpath(posixpath.join(folder, member.name))
            content = tar.extractfile(member) if member.isfile() else None
            if content:
                found[name] = content.read()
            elif member.issym() or member.islnk():
                within = posixpath.dirname(name) if member.issym() else folder
                links[name] = posixpath.normpath(posixpath.join(within, member.linkname))
    return found | {name: found[target] for name, target in links.items() if target in found}


def _read(engine: Engine, name: str) -> Contents:
    base = engine.run("inspect", "--format", f'{{{{index .Config.Labels "{BASE_LABEL}"}}}}', name)
    for path in DPKG_STATUS:
        if status := _copy(engine, name, path):
            files = {file: text for folder in APT_FOLDERS for file, text in _copy(engine, name, folder).items()}
            return Contents(system="dpkg", packages=tuple(dpkg_packages(_text(status))), files=files, base=base)
    for path in APK_INSTALLED:
        if database := _copy(engine, name, path):
            files = {file: text for path in APK_FILES for file, text in _copy(engine, name, path).items()}
            return Contents(system="apk", packages=tuple(apk_packages(_text(database))), files=files, base=base)
    return Contents(system="", packages=(), files={}, base=base)


def _text(files: Mapping[str, bytes]) -> str:
    """Return one database of one file, or of a file for each package (beside their checksums)."""
    kept = (files[name] for name in sorted(files) if not name.endswith(".md5sums"))
    return "\n\n".join(content.decode("utf-8", errors="replace") for content in kept)


def _copy(engine: Engine, name: str, path: str) -> dict[str, bytes]:
    """Return the files at a path in a container by their path; none where there is nothing."""
    try:
        archive = engine.call("cp", "--follow-link", f"{name}:{path}", "-").stdout
    except EngineError as error:
        if _ABSENT.search(str(error)):
            return {}
        raise
    return unpacked(archive, posixpath.dirname(path))


def _store(key: str) -> Path:
    return paths.folder("contents") / f"{key.replace(':', '-')}.json"


def _holds(engine: Engine, reference: str) -> bool:
    return bool(engine.run("image", "ls", "--quiet", "--no-trunc", reference))
