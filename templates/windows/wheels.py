"""Do for Windows, on Linux, what `ensurepip --default-pip` would do there: `wheels.py SERIES NAME==VERSION...`.

Wheels are unpacked. A command is pip's own launcher, then the place of the interpreter, then a zip
file with the program: https://github.com/pypa/distlib, `scripts.py`.
"""

import base64
import configparser
import csv
import hashlib
import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

PYTHON, PINNED = Path("/install/Python"), Path("/pinned")
SITE, SCRIPTS = PYTHON / "Lib/site-packages", PYTHON / "Scripts"
INTERPRETER = b"#!C:\\Python\\python.exe\r\n"


def project(wheel: Path) -> str:
    """Return the name of a wheel's project."""
    return wheel.name.partition("-")[0].lower().replace("_", "-")


def download(pip: Path, series: str, pins: "list[str]") -> "list[Path]":
    """Return the pinned wheels, fetched from the index for Windows."""
    command = [sys.executable, f"{pip}/pip", "download", "--no-deps", "--only-binary=:all:", "--no-cache-dir"]
    there = ["--platform", "win_amd64", "--python-version", series, "--implementation", "cp", "--dest", str(PINNED)]
    subprocess.run([*command, *there, "--disable-pip-version-check", *pins], check=True)
    return sorted(PINNED.glob("*.whl"))


def commands(name: str, text: str, series: str) -> "dict[str, str]":
    """Return the commands that a wheel's entry points ask for; pip's are those of ensurepip."""
    parser = configparser.RawConfigParser(delimiters=("=",))
    parser.read_string(text)
    found = dict(parser["console_scripts"]) if parser.has_section("console_scripts") else {}
    return dict.fromkeys(("pip", "pip3", f"pip{series}"), found["pip"]) if name == "pip" else found


def program(launcher: bytes, target: str) -> bytes:
    """Return a command that calls `module:function` when it is run on Windows."""
    module, _, function = target.partition(":")
    text = f"import sys\nfrom {module} import {function}\nif __name__ == '__main__':\n    sys.exit({function}())\n"
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), text)
    return launcher + INTERPRETER + stream.getvalue()


def install(wheel: Path, launcher: bytes, series: str) -> None:
    """Unpack a wheel, add its commands, and record what was added."""
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if any(".data/" in name for name in names):
            sys.exit(f"{wheel.name} has files for other folders, which only pip on Windows can install")
        archive.extractall(SITE)
    # A wheel may carry other ones within it, with records of their own.
    records = [name for name in names if name.endswith(".dist-info/RECORD") and name.count("/") == 1]
    info = SITE / records[0].partition("/")[0]
    added = {info / "INSTALLER": b"pip\n"}
    points = info / "entry_points.txt"
    if points.exists():
        wanted = commands(project(wheel), points.read_text("utf-8"), series)
        added |= {SCRIPTS / f"{name}.exe": program(launcher, target) for name, target in wanted.items()}
    with (info / "RECORD").open("a", newline="", encoding="utf-8") as record:
        for path, data in added.items():
            path.write_bytes(data)
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            row = os.path.relpath(path, SITE), f"sha256={digest}", len(data)
            csv.writer(record, lineterminator="\n").writerow(row)


def main(series: str, pins: "list[str]") -> None:
    """Install what ensurepip has, with the pins in place of it."""
    bundled = sorted((PYTHON / "Lib/ensurepip/_bundled").glob("*.whl"))
    pip = next(wheel for wheel in bundled if project(wheel) == "pip")
    launcher = zipfile.ZipFile(pip).read("pip/_vendor/distlib/t64.exe")
    wheels = [*bundled, *(download(pip, series, pins) if pins else [])]
    for folder in (SITE, SCRIPTS):
        folder.mkdir(parents=True, exist_ok=True)
    for wheel in {project(wheel): wheel for wheel in wheels}.values():
        install(wheel, launcher, series)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
