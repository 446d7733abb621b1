"""Unpack the payload of Python's installer for Windows, on Linux: `unpack.py SERIES`."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

BUNDLE, PYTHON = Path("/bundle"), Path("/install/Python")
# Python and its headers. Left out: documentation, tests, files for debugging, and the launcher `py`.
PACKAGES = ("core", "exe", "lib", "dev", "tcltk")
NEEDED = (
    "python.exe", "python3.dll", "python{}.dll", "vcruntime140.dll", "DLLs/_ssl.pyd", "DLLs/_tkinter.pyd",
    "Lib/os.py", "Lib/ensurepip/__init__.py", "Lib/tkinter/__init__.py", "include/Python.h", "libs/python{}.lib",
)  # fmt: skip


def payloads() -> "dict[str, tuple[Path, int]]":
    """Return what the bundle holds: by its name, the file that it was unpacked to and its size."""
    # Whoever has the digest of the whole is trusted with its parts.
    manifest = ET.parse(BUNDLE / "0").iterfind(".//{*}Payload")  # noqa: S314
    return {
        one.get("FilePath", "").rpartition("\\")[2]: (BUNDLE / one.get("SourcePath", ""), int(one.get("FileSize", "0")))
        for one in manifest
    }


def unpack(name: str, package: Path, size: int) -> None:
    """Unpack one Windows Installer package into Python's folder."""
    found = package.stat().st_size if package.is_file() else 0
    if not found or found != size:
        sys.exit(f"{name} has {found} bytes instead of {size}")
    subprocess.run(["msiextract", "--directory", PYTHON, package], check=True, stdout=subprocess.DEVNULL)


def main(series: str) -> None:
    """Unpack all packages, and check that what makes a Python is there."""
    PYTHON.mkdir(parents=True)
    found = payloads()
    for name in (f"{package}.msi" for package in PACKAGES):
        if name not in found:
            sys.exit(f"the installer has no {name}; it has {', '.join(sorted(found))}")
        unpack(name, *found[name])
    needed = [name.format(series.replace(".", "")) for name in NEEDED]
    if missing := [name for name in needed if not (PYTHON / name).is_file()]:
        has = sorted(path.name for path in PYTHON.iterdir())
        sys.exit(f"the installer lacks {', '.join(missing)}; at its top it has {', '.join(has)}")


if __name__ == "__main__":
    main(sys.argv[1])
