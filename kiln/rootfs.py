"""From mmdebstrap's tar file to an image of one layer: nothing of this machine in it, and no clock."""

import copy
import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import IO, Any

import msgspec

from kiln import oci, slim
from kiln.errors import BaseError

CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Bumped with any change here that changes bytes, so that bases made before it are made again.
RECIPE = 1
DEFAULT_SOURCES = "etc/apt/kiln-default.list"
"""Where the bootstrap leaves the distribution's default sources, as one-line entries."""
_EMPTIED = (
    *("dev/", "proc/", "sys/", "run/", "tmp/", "var/tmp/"),
    *("var/cache/apt/", "var/cache/ldconfig/", "var/lib/apt/lists/"),
)
_DROPPED = (
    f"{DEFAULT_SOURCES} etc/apt/sources.list etc/apt/sources.list.d/* etc/hostname etc/resolv.conf "
    "etc/apt/apt.conf.d/*mmdebstrap etc/apt/apt.conf.d/*kiln* etc/apt/apt.conf.d/99debconf "
    "etc/dpkg/dpkg.cfg.d/*mmdebstrap var/cache/debconf/*-old var/lib/dpkg/*-old"
).split()
_SHADOW = ("etc/shadow", "etc/shadow-")
_Entry = tuple[tarfile.TarInfo, IO[bytes] | None]


@dataclass(frozen=True, kw_only=True)
class Layer:
    """A root file system as one gzip file."""

    file: Path
    diff_id: str
    """`sha256:...` of the tar file within."""
    epoch: int
    """The newest time in it, in seconds: that of the newest package."""


def pack(archive: Path, target: Path, *, started: float) -> Layer:
    """Write the layer of a root file system, which mmdebstrap made as a tar file, to `target`.

    Whatever is newer than `started` (seconds since the epoch) was made by the bootstrap, whose
    clock must not show: it gets the time of the newest package.
    """
    with tarfile.open(archive, "r:") as source:
        members = {member.name.removeprefix("./"): member for member in source}
        # A file system's clock lags a little behind the system's.
        times = [member.mtime for member in members.values() if member.isfile()]
        epoch = int(max((time for time in times if time < started - 2), default=0))
        if not epoch or DEFAULT_SOURCES not in members:
            raise BaseError(f"{archive}: not a bootstrapped system; see the log of the bootstrap, try again")
        entries = {n: _entry(source, n, member, epoch) for n, member in members.items() if kept(member)}
        entries.update(_settings(_text(source, members[DEFAULT_SOURCES]), members.keys(), epoch))
        diff_id = _write(target, (entries[name] for name in sorted(entries, key=lambda n: n.split("/"))))
    return Layer(file=target, diff_id=diff_id, epoch=epoch)


def kept(member: tarfile.TarInfo) -> bool:
    """Tell whether an entry belongs in an image: no devices, logs, caches or traces of this machine."""
    name = member.name.removeprefix("./")
    if name in ("", ".") or member.isdev():
        return False
    if name.startswith(_EMPTIED):
        return name == "run/lock"
    if member.isfile() and (slim.unwanted(name) or (member.size and name.startswith("var/log/"))):
        return False
    return not any(fnmatchcase(name, pattern) for pattern in _DROPPED)


def aged(shadow: str, epoch: int) -> str:
    """Return a shadow file whose passwords were last changed at `epoch` (seconds) at the latest."""
    lines = [line.split(":") for line in shadow.splitlines()]
    for fields in lines:
        if len(fields) > 2 and fields[2].isdigit():
            fields[2] = str(min(int(fields[2]), epoch // 86400))
    return "".join(f"{':'.join(fields)}\n" for fields in lines)


def write_image(folder: Path, layer: Layer, *, platform: str) -> oci.Descriptor:
    """Write an image of one layer, which is moved, to the layout `folder`; return its manifest."""
    created = datetime.fromtimestamp(layer.epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    named = oci.parse_platform(platform)
    config: dict[str, Any] = {
        **msgspec.to_builtins(named),
        "created": created,
        "config": {"Cmd": ["bash"], "Env": [f"PATH={_PATH}"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id]},
        "history": [{"created": created, "created_by": "mmdebstrap", "comment": "kiln"}],
    }
    described = oci.write_blob(folder, CONFIG, oci.encode(config))
    manifest = oci.Manifest(config=described, layers=[_move(folder, layer)])
    done = oci.write_blob(folder, oci.MANIFEST, oci.encode(manifest))
    return msgspec.structs.replace(done, platform=named)


class _Hashing(io.RawIOBase):
    """A file that hashes what it passes on."""

    def __init__(self, file: gzip.GzipFile) -> None:
        self.file, self.sha256 = file, hashlib.sha256()

    def write(self, data: Any, /) -> int:  # noqa: ANN401 - any buffer, as RawIOBase has it
        self.sha256.update(data)
        return self.file.write(data)


def _write(target: Path, entries: Iterable[_Entry]) -> str:
    """Write entries as a compressed tar file and return the digest of the uncompressed one."""
    # As Debian's own images: the best that gzip can do, and neither name nor time in the header.
    with target.open("wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as packed:
        hashing = _Hashing(packed)
        with tarfile.open(fileobj=hashing, mode="w|", format=tarfile.PAX_FORMAT) as layer:
            for info, content in entries:
                layer.addfile(info, content)
    return f"sha256:{hashing.sha256.hexdigest()}"


def _entry(source: tarfile.TarFile, name: str, member: tarfile.TarInfo, epoch: int) -> _Entry:
    info = copy.copy(member)
    info.name, info.uname, info.gname = name, "", ""
    info.mtime = min(int(member.mtime), epoch)
    info.linkname = member.linkname.removeprefix("./") if member.islnk() else member.linkname
    # Extended attributes (capabilities of files) stay; the rest repeats the fields above.
    headers = member.pax_headers.items()
    info.pax_headers = {key: text for key, text in headers if key.startswith("SCHILY.xattr.")}
    if name in _SHADOW:
        return _file(info, aged(_text(source, member), epoch))
    return info, source.extractfile(member) if member.isreg() else None


def _settings(sources: str, names: Iterable[str], epoch: int) -> Iterator[tuple[str, _Entry]]:
    for name, text in slim.files(sources, names).items():
        info = tarfile.TarInfo(name)
        info.mtime, info.mode = epoch, 0o755 if text.startswith("#!") else 0o644
        yield name, _file(info, text)


def _file(info: tarfile.TarInfo, text: str) -> _Entry:
    data = text.encode()
    info.size = len(data)
    return info, io.BytesIO(data)


def _text(source: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = source.extractfile(member)
    if file is None:
        raise BaseError(f"{member.name}: not a file; see the log of the bootstrap and try again")
    with closing(file):
        return file.read().decode()


def _move(folder: Path, layer: Layer) -> oci.Descriptor:
    with layer.file.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    size = layer.file.stat().st_size
    layer.file.replace(folder / "blobs" / "sha256" / digest)
    return oci.Descriptor(media_type=LAYER, digest=f"sha256:{digest}", size=size)
