"""Put together what an image without a shell holds: `assemble.py python`, and `assemble.py shell` for debugging.

Runs in a stage that has the distribution's packages, on the Python that was compiled. What it writes
below /image becomes layers: `system` and `python`, or `shell`.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT, IMAGE, PYTHON = Path("/"), Path("/image"), Path("/run/kiln/python")
DPKG = Path("/var/lib/dpkg")
USER = 65532

# Libraries that wheels take for granted (PEP 600), beside those that Python itself links to.
# libgcc_s is Python's, too: the C library loads it when a thread ends.
WHEELS = (
    "libc.so.6", "libdl.so.2", "libgcc_s.so.1", "libm.so.6", "libpthread.so.0", "libresolv.so.2", "librt.so.1",
    "libstdc++.so.6", "libutil.so.1",
)  # fmt: skip

# What libraries read: certificates, time zones, names of services, UTF-8, terminals, and where libraries are.
DATA = (
    "etc/host.conf", "etc/ld.so.conf", "etc/ld.so.conf.d", "etc/localtime", "etc/nsswitch.conf", "etc/protocols",
    "etc/rpc", "etc/services", "etc/ssl/certs", "etc/ssl/openssl.cnf", "etc/terminfo", "etc/timezone",
    "usr/lib/locale/C.*", "usr/lib/ssl/cert.pem", "usr/lib/ssl/certs", "usr/lib/ssl/openssl.cnf", "usr/lib/terminfo",
    "usr/share/ca-certificates", "usr/share/terminfo", "usr/share/zoneinfo",
    # What scanners know the system by, and the licences that copyright files refer to.
    "etc/debian_version", "etc/lsb-release", "etc/os-release", "usr/lib/os-release", "usr/share/common-licenses",
)  # fmt: skip
FOLDERS = {
    "tmp": 0o1777, "var/tmp": 0o1777, "root": 0o700,
    # Clusters may run a container as any user, which starts in this home.
    **dict.fromkeys(("dev", "home/nonroot", "proc", "run", "sys", "usr/bin", "usr/sbin"), 0o755),
}  # fmt: skip
ACCOUNTS = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/usr/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
        f"nonroot:x:{USER}:{USER}:nonroot:/home/nonroot:/usr/sbin/nologin\n"
    ),
    "etc/group": f"root:x:0:\ntty:x:5:\nnogroup:x:65534:\nnonroot:x:{USER}:\n",
}

# What only serves to install, to build, to look things up at a prompt, or to embed Python: the program has it all.
UNWANTED = (
    "bin/*-config", "bin/2to3*", "bin/pip*", "bin/pydoc*", "include", "lib/libpython*", "lib/pkgconfig", "share",
    *(
        f"lib/python3*/{name}"
        for name in ("config-*", "ensurepip", "lib2to3", "pydoc_data", "site-packages/*", "venv")
    ),
)  # fmt: skip


def main(what: str) -> None:
    """Put together the system and Python, or the shell."""
    if what == "shell":
        shell(IMAGE / "shell")
    else:
        whole(IMAGE / "system")


def whole(target: Path) -> None:
    """Put together a system with Python, see that it runs, and take it apart into what gets a layer each."""
    python(PYTHON, target)
    system(target, linked(programs(target / "usr/local")))
    # The cache is what makes the loader look into /usr/local/lib, and belongs to Python's layer.
    subprocess.run(["ldconfig", "-X", "-r", target], check=True)
    check = "import bz2, ctypes, lzma, sqlite3, ssl, zlib, zoneinfo"
    subprocess.run(["chroot", f"--userspec={USER}:{USER}", target, "python3", "-B", "-c", check], check=True)
    for name in ("usr/local", "etc/ld.so.cache"):
        (IMAGE / "python" / name).parent.mkdir(parents=True, exist_ok=True)
        (target / name).rename(IMAGE / "python" / name)


def python(source: Path, target: Path) -> None:
    """Copy Python as it was installed, without what nobody runs in such an image."""
    names: dict[int, str] = {}

    def copy(path: str, copied: str) -> None:
        # The free-threaded program has two names, and is one file.
        status = Path(path).stat()
        first = names.setdefault(status.st_ino, copied) if status.st_nlink > 1 else copied
        shutil.copy2(path, copied) if first == copied else os.link(first, copied)

    shutil.copytree(source / "usr/local", target / "usr/local", symlinks=True, copy_function=copy)
    for pattern in UNWANTED:
        for path in (target / "usr/local").glob(pattern):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def system(target: Path, libraries: Iterable[Path]) -> None:
    """Copy libraries and what they read, and what the package database says of where they come from."""
    for name in ("bin", "lib", "lib64", "sbin"):
        if (ROOT / name).is_symlink():
            take(ROOT / name, target)
    for path in libraries:
        take(path, target)
    for pattern in DATA:
        for found in sorted(ROOT.glob(pattern)):
            for path in [found] if found.is_symlink() or found.is_file() else sorted(found.rglob("*")):
                if path.is_symlink() or path.is_file():
                    take(path, target)
    for name, mode in FOLDERS.items():
        (target / name).mkdir(parents=True, exist_ok=True)
        (target / name).chmod(mode)
    (target / "var/run").symlink_to("/run")
    for name, text in ACCOUNTS.items():
        (target / name).write_text(text, "utf-8")
    os.chown(target / "home/nonroot", USER, USER)
    record(target)


def shell(target: Path) -> None:
    """Copy BusyBox into a folder of its own, with a link for each of its commands."""
    program = next(path for path in (ROOT / "usr/bin/busybox", ROOT / "bin/busybox") if path.is_file())
    take(program, target)
    (target / "busybox").mkdir()
    done = subprocess.run([program, "--list"], check=True, capture_output=True, text=True)
    for name in sorted({"busybox", *done.stdout.split()}):
        (target / "busybox" / name).symlink_to("/" + str(program.resolve().relative_to(ROOT)))
    record(target)


def programs(folder: Path) -> "list[Path]":
    """Return the programs and libraries below a folder."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                if file.read(4) == b"\x7fELF":
                    found.append(path)
    return found


def linked(files: "list[Path]") -> "list[Path]":
    """Return the distribution's libraries that the loader finds for files and for wheels."""
    known = subprocess.run(["ldconfig", "-p"], check=True, capture_output=True, text=True).stdout
    places = re.findall(r"^\t(\S+) .* => (/\S+)$", known, re.MULTILINE)
    wheels = {Path(place) for name, place in places if name in WHEELS}
    answer = subprocess.run(["ldd", *files, *sorted(wheels)], check=True, capture_output=True, text=True).stdout
    if missing := sorted(set(re.findall(r"(\S+) => not found", answer))):
        sys.exit(f"no package here has {', '.join(missing)}, which Python links to")
    found = {Path(name) for name in re.findall(r"^\t(?:\S+ => )?(/\S+) \(0x", answer, re.MULTILINE)}
    return sorted(path for path in found | wheels if not path.is_relative_to(PYTHON))


def take(path: Path, target: Path) -> None:
    """Copy a file to its place below `target`; of a link, also what it leads to, as long as that are links."""
    while True:
        path = path.parent.resolve() / path.name
        copy = target / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(copy):
            shutil.copy2(path, copy, follow_symlinks=False)
        if not path.is_symlink() or path.is_dir():
            return
        path = path.parent / path.readlink()


def record(target: Path) -> None:
    """Write what dpkg knows of each package that has a file in the image, where scanners look for it."""
    folder = target / DPKG.relative_to(ROOT) / "status.d"
    folder.mkdir(parents=True)
    known = stanzas((DPKG / "status").read_text("utf-8"))
    owned = owners(target)
    for path in programs(target):
        if path.relative_to(target).parts[:2] != ("usr", "local") and plain(path.relative_to(target)) not in owned:
            sys.exit(f"{path.relative_to(target)} is in no package")
    for package in sorted(set(owned.values())):
        name = package.partition(":")[0]
        (folder / name).write_text(known[name], "utf-8")
        sums = DPKG / "info" / f"{package}.md5sums"
        lines = sums.read_text("utf-8").splitlines() if sums.is_file() else []
        here = sorted(line for line in lines if os.path.lexists(target / line.partition("  ")[2]))
        (folder / f"{name}.md5sums").write_text("".join(f"{line}\n" for line in here), "utf-8")
        text = ROOT / "usr/share/doc" / name / "copyright"
        if text.is_file():
            (target / text.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(text, target / text.relative_to(ROOT))


def owners(target: Path) -> "dict[str, str]":
    """Return the package of each file below `target` that has one."""
    # Beside /lib as it was before, /usr/lib would look like it: it is in every package, and /lib is a link here.
    below = (path for folder in target.iterdir() if not folder.is_symlink() for path in folder.rglob("*"))
    here = {plain(path.relative_to(target)) for path in below if path.is_symlink() or path.is_file()}
    return {
        name: listed.name.removesuffix(".list")
        for listed in sorted((DPKG / "info").glob("*.list"))
        for line in listed.read_text("utf-8").splitlines()
        if (name := plain(Path(line.lstrip("/")))) in here
    }


def plain(path: Path) -> str:
    """Return a path as it was before /bin and /lib became links into /usr; packages have either form."""
    return str(path).removeprefix("usr/")


def stanzas(text: str) -> "dict[str, str]":
    """Return what dpkg's database says of each package."""
    found = {}
    for stanza in re.split(r"\n\n+", text.strip()):
        if name := re.search(r"^Package: (\S+)$", stanza, re.MULTILINE):
            found[name[1]] = f"{stanza}\n"
    return found


if __name__ == "__main__":
    main(sys.argv[1])
