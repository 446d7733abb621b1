"""What an image must be: from the matrix, and what is known of systems and Python series. Pure."""

import re
from collections.abc import Iterable

from msgspec import UNSET
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from kiln import render, stages
from kiln.image import Image
from kiln.model import DISTROLESS, Catalog
from kiln.packages import installed

# machine number of the ELF header, bits, byte order
ELF = {
    "linux/386": (3, 32, "little"),
    "linux/amd64": (62, 64, "little"),
    "linux/arm64": (183, 64, "little"),
    "linux/arm/v5": (40, 32, "little"),
    "linux/arm/v6": (40, 32, "little"),
    "linux/arm/v7": (40, 32, "little"),
    "linux/mips64le": (8, 64, "little"),
    "linux/ppc64le": (21, 64, "little"),
    "linux/riscv64": (243, 64, "little"),
    "linux/s390x": (22, 64, "big"),
}

# Names on PATH that build programs; a triplet may stand before them and a version behind.
COMPILERS = (
    r"([\w.]+-)*(gcc|g\+\+|cc|c\+\+|c89|c99|clang|clang\+\+|tcc|cpp|as|ld|ld\.(bfd|gold|lld)|gold|ar|ranlib|make|gmake"
    r"|cmake|ninja|meson|rustc|cargo|go|gfortran|autoconf|automake|libtool|m4|pkg-config|pkgconf)(-\d[\d.]*)?"
)

_BUILDERS = re.compile(
    r"(gcc|g\+\+|cpp|clang|llvm|lld|tcc|binutils|make|cmake|ninja|meson|rustc?|cargo|golang|gfortran|autoconf"
    r"|automake|libtool|m4|pkg-config|pkgconf|build-essential|build-base|dpkg-dev|linux-headers|musl-dev"
    r"|libc-dev|fortify-headers|patch)(-\d[\d.]*|-(x86|aarch64|arm|i686|powerpc|riscv|s390|mips)[\w-]*|-common|-bin)*"
)

# What the systems' own packages bring: password and mount tools; nothing of Kiln's adds to it.
_SHADOW = frozenset({"chage", "chfn", "chsh", "expiry", "gpasswd", "mount", "newgrp", "passwd", "su", "umount"})
_SSH = frozenset({"/usr/bin/ssh-agent", "/usr/lib/openssh/ssh-keysign"})
_SETUID = {
    "debian": frozenset(f"/usr/bin/{name}" for name in _SHADOW) | {"/usr/sbin/unix_chkpwd"},
    "ubuntu": frozenset(f"/usr/bin/{name}" for name in _SHADOW)
    | {"/usr/sbin/unix_chkpwd", "/usr/sbin/pam_extrausers_chkpwd"},
    "alpine": frozenset[str](),
}

# Extension modules whose library a system must bring, or that users miss first.
_MODULES = [
    "_asyncio", "_bz2", "_ctypes", "_curses", "_curses_panel", "_dbm", "_decimal", "_elementtree", "_gdbm",
    "_hashlib", "_lzma", "_multiprocessing", "_posixshmem", "_socket", "_sqlite3", "_ssl", "_uuid",
    "_zoneinfo", "array", "binascii", "fcntl", "grp", "math", "mmap", "pyexpat", "readline", "resource",
    "select", "syslog", "termios", "unicodedata", "zlib",
]  # fmt: skip
_PUBLIC = [
    "bz2", "ctypes", "curses.panel", "dbm.gnu", "dbm.ndbm", "decimal", "hashlib", "lzma",
    "multiprocessing.shared_memory", "readline", "sqlite3", "ssl", "uuid", "xml.parsers.expat", "zlib",
    "zoneinfo",
]  # fmt: skip
# musl has no NIS and Debian's glibc not its headers: nis is for neither. crypt went in 3.13.
_SERIES = {
    "3.11": ["audioop", "crypt", "spwd", "distutils", "lib2to3.pgen2.driver"],
    "3.12": ["audioop", "crypt", "spwd", "lib2to3.pgen2.driver"],
}

# What only the full image has, for it needs Tk.
_NEEDS_TK = ("_tkinter", "idlelib", "tkinter", "turtle", "turtledemo")
# What distroless images leave out of Python beyond: it installs, builds, or looks up.
_LEFT_OUT = (
    "_distutils_hack", "ensurepip", "lib2to3", "pip", "pkg_resources", "pydoc_data", "setuptools", "venv",
)  # fmt: skip
# The folders that their user can write to, with their modes: what others may do there.
FOLDERS = {"/home/nonroot": 0o755, "/tmp": 0o1777, "/var/tmp": 0o1777}  # noqa: S108 - looked at
# What wheels may link to without bringing it along (PEP 600), and distroless images must have therefore.
GRANTED = (
    "libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1",
    "libstdc++.so.6", "libutil.so.1",
)  # fmt: skip

# What the packages of the index and their libraries may add to what is pulled.
_PACKAGE_MB = 40

# What builds and package managers leave behind; a folder is written with a slash at its end.
LEFTOVERS = (
    r"/var/lib/apt/lists/(?!lock|partial/$|auxfiles/$).+|/var/cache/(apt/.*\.(deb|bin)|apk/.+|kiln/.*|ldconfig/.+|debconf/.*-old)"
    r"|/var/lib/dpkg/.*-old|/var/log/(apt/.+|.*\.log)|/etc/apt/apt\.conf\.d/zz-kiln|/run/kiln/.*|/install/.*"
    r"|/usr/src/.+|/tmp/.+|/var/tmp/.+|/app/\..*|(/root|/home/[^/]+)/\.(cache|config|local|wget-hsts|python_history|ash_history|bash_history).*"
)

SECRETS = (
    r"/(pip\.conf|\.netrc|\.pypirc|\.npmrc|\.git-credentials|\.dockerconfigjson|credentials|authorized_keys"
    r"|id_(rsa|dsa|ecdsa|ed25519))$|^/root/\.docker/|^/usr/local/share/ca-certificates/.+|^/run/secrets/.+"
    r"|^/etc/ssl/private/.+|^/etc/ssh/ssh_host_.*key$"
)

# Labels that a build may add to those of the matrix.
BUILD_LABELS = frozenset({
    "org.opencontainers.image.base.digest",
    "org.opencontainers.image.revision",
    "io.kiln.profile-guided",
    "io.kiln.quick",
})  # fmt: skip


def modules(image: Image) -> list[str]:
    """Return the modules that must import in an image."""
    found = [*_MODULES, *_PUBLIC, *_SERIES.get(image.release.series, [])]
    if image.release.parsed.release >= (3, 14):
        found += ["_zstd", "compression.zstd"]
    found = [name for name in found if name.partition(".")[0] not in left_out(image)]
    return [*found, *_NEEDS_TK] if image.variant == "full" else found


def distroless(image: Image) -> bool:
    """Tell whether an image holds some files of packages in place of a whole system."""
    return image.variant in DISTROLESS


def left_out(image: Image) -> list[str]:
    """Return the modules that must not be in an image."""
    return [*(_LEFT_OUT if distroless(image) else ()), *(_NEEDS_TK if image.variant != "full" else ())]


def packages(image: Image, platform: str) -> set[str]:
    """Return the distribution's packages that an image must have."""
    found = image.target.packages
    names = {*found.runtime, *(found.full if image.variant == "full" else [])}
    if distroless(image):
        # Of these, only what Python links to; it has a module for zstd since 3.14.
        return names - ({"libzstd1"} if image.release.parsed.release < (3, 14) else set())
    return names | {*(found.platforms or {}).get(platform, [])}


def environment(image: Image) -> dict[str, str]:
    """Return the whole environment of an image."""
    python = {
        "LANG": "C.UTF-8",
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
        + (":/busybox" if image.variant == "distroless-debug" else ""),
        "PYTHON_VERSION": image.release.version,
    }
    return {**python, **((image.installed.package.environment or {}) if image.installed else {})}


def command(image: Image) -> dict[str, object]:
    """Return what the configuration of an image says of how it is run."""
    if distroless(image):
        return {"Cmd": ["python3"], "WorkingDir": "/home/nonroot", "User": "65532:65532"}
    if image.installed is None:
        return {"Cmd": ["python3"], "WorkingDir": "/", "User": ""}
    package = image.installed.package
    ports = {"ExposedPorts": {f"{package.port}/tcp": {}}} if package.port else {}
    return {"Cmd": list(package.command), "WorkingDir": "/app", "User": "1000:1000", **ports}


def user(image: Image) -> list[object]:
    """Return user id, home and folder of whoever runs commands in an image."""
    if distroless(image):
        return [65532, "/home/nonroot", "/home/nonroot"]
    return [1000, "/app", "/app"] if image.installed else [0, "/root", "/"]


def site(image: Image) -> str:
    """Return the folder that pip installs to: the user's own, where the user is not root."""
    prefix = f"{user(image)[1]}/.local" if image.installed else "/usr/local"
    return f"{prefix}/lib/python{_series(image)}/site-packages/"


def budget(image: Image) -> float | None:
    """Return the most megabytes that an image may take; a package has some beyond Python's."""
    most = image.target.variants[image.variant].max_mb
    return None if most is UNSET else most + (_PACKAGE_MB if image.installed else 0)


def versions(image: Image) -> dict[str, str]:
    """Return the version of the distribution in the tag; only for images with a package."""
    mine = installed(image)
    return {canonicalize_name(Requirement(mine.package.requirements[0]).name): mine.version}


def commands(image: Image) -> dict[str, str]:
    """Return where the commands of an image lead to; nowhere, where it has none."""
    series = image.release.series
    # CPython's own installation has the free-threaded program under both names, as one file.
    interpreter = f"/usr/local/bin/python{series}"
    found = {"python": interpreter, "python3": interpreter}
    found |= {f"python{_series(image)}": f"/usr/local/bin/python{_series(image)}"}
    if distroless(image):
        return {**found, **dict.fromkeys(("pip", "pip3", "pydoc", "idle", "python-config"), "")}
    return {
        **found,
        "pip": "/usr/local/bin/pip3",
        "pip3": "/usr/local/bin/pip3",
        "pydoc": f"/usr/local/bin/pydoc{series}",
        "idle": f"/usr/local/bin/idle{series}" if image.variant == "full" else "",
        "python-config": f"/usr/local/bin/python{_series(image)}-config",
    }


def programs(image: Image) -> set[str]:
    """Return all commands of a distroless image that are not BusyBox's."""
    names = {"python", "python3", f"python{image.release.series}", f"python{_series(image)}"}
    paths = {f"/usr/local/bin/{name}" for name in names}
    return paths | {"/usr/bin/busybox"} if image.variant == "distroless-debug" else paths


def library(image: Image) -> str:
    """Return the name of the shared library that Python is in: `libpython3.13t.so.1.0`."""
    return f"libpython{_series(image)}.so.1.0"


def wheel_tag(image: Image) -> str:
    """Return the tags of interpreter and ABI that a compiled wheel for this Python alone has: `cp313-cp313t`."""
    series = image.release.series.replace(".", "")
    return f"cp{series}-cp{series}{'t' if image.flavour == 'freethreaded' else ''}"


def _series(image: Image) -> str:
    """Return the series with the flavour's letter: `3.13t`."""
    return f"{image.release.series}{'t' if image.flavour == 'freethreaded' else ''}"


def configure(image: Image, *, quick: bool, guided: bool = True) -> set[str]:
    """Return the options that an image's Python was configured with."""
    optimised = ["--with-lto", *(["--enable-optimizations"] if guided else [])]
    return {*stages.configure(image), *([] if quick else optimised)}


def labels(image: Image, catalog: Catalog) -> dict[str, str]:
    """Return the labels that the matrix gives an image."""
    return render.labels(image, catalog)


def setuid(image: Image) -> frozenset[str]:
    """Return the files of an image that may run with other rights than the user's."""
    if distroless(image):
        return frozenset()
    return _SETUID[image.target.distribution] | (_SSH if image.variant == "full" else frozenset())


def builders(packages: Iterable[str]) -> list[str]:
    """Return which packages are for building programs: compilers, headers, build tools."""
    return [name for name in packages if _BUILDERS.fullmatch(name) or name.endswith("-dev")]


def needles(secrets: Iterable[str]) -> list[str]:
    """Return what of the host's network must be in no file: index and proxy URLs, without public defaults."""
    found = (word.rstrip("/") for text in secrets for word in text.split())
    return sorted({word for word in found if "://" in word and len(word) > 10})
