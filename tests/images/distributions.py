"""Tell what of the Python index an image has, as JSON: runs in its container, as its user, as the probe does.

`GIVEN`, on the line before, names the modules that must be importable.
"""

import concurrent.futures
import csv
import json
import os
import re
import shutil
import subprocess
import sysconfig
from importlib import metadata
from pathlib import Path

GIVEN = globals().get("GIVEN", {})
PURE = sysconfig.get_paths()["purelib"]
# It is of the Python image, whose own tests look at it.
BASE = {"pip"}


def run(*command):
    """Run a command and return (exit code, output)."""
    done = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60, check=False,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    return done.returncode, done.stdout.decode(errors="replace").strip()


def installed():
    """Return the image's distributions beside pip, by their names."""
    found = {one.metadata["Name"].lower().replace("_", "-"): one for one in metadata.distributions(path=[PURE])}
    return {name: one for name, one in found.items() if name not in BASE}


def versions():
    """Tell which versions are installed."""
    return {name: one.version for name, one in installed().items()}


def check():
    """Tell what `pip check` finds wrong."""
    code, output = run("python3", "-m", "pip", "check")
    return "" if code == 0 else output or f"ended with code {code}"


def files():
    """Tell which files are not there that the distributions say they installed."""
    found = []
    for one in installed().values():
        # `one.files` would leave out what is not there.
        rows = csv.reader((one.read_text("RECORD") or "").splitlines())
        paths = [Path(str(one.locate_file(row[0]))) for row in rows if row]
        found += [str(path.resolve()) for path in paths if not path.exists() and path.suffix != ".pyc"]
    return sorted(found)


def scripts():
    """Tell which console scripts the distributions have, and why some of them do not run."""
    names = sorted(
        entry.name for one in installed().values() for entry in one.entry_points if entry.group == "console_scripts"
    )
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        return dict(zip(names, pool.map(script, names), strict=True))


def script(name):
    """Return why a console script does not run; nothing if it tells its version or its help."""
    path = shutil.which(name)
    if not path:
        return "is not on PATH"
    code, output = run(path, "--version")
    if code:
        code, output = run(path, "--help")
    return "" if code == 0 else f"ended with code {code}: {output[-200:]}"


def imports():
    """Tell which of the given modules do not import, and why."""
    found = {name: run("python3", "-c", f"import {name}") for name in GIVEN.get("imports", [])}
    return {name: output.splitlines()[-1:] for name, (code, output) in found.items() if code}


def compiled():
    """Tell which modules are compiled at import, though their bytecode should be there; and how many were loaded."""
    _, words = run("python3", "-v", "-c", "import " + ", ".join(GIVEN["imports"]))
    codes = re.findall(r"^# code object from '?([^'\n]+)'?$", words, re.MULTILINE)
    ours = [path for path in codes if path.startswith(PURE)]
    return {"cached": sum(path.endswith(".pyc") for path in ours), "fresh": [p for p in ours if not p.endswith(".pyc")]}


def guarded(group):
    """Return (fact, why it failed)."""
    try:
        return group(), ""
    except Exception as problem:  # noqa: BLE001 - whatever a broken image does is a fact of it
        return None, f"{type(problem).__name__}: {problem}"


def main():
    """Print all facts, and the reasons of those that could not be had."""
    results = {group.__name__: guarded(group) for group in (versions, check, files, scripts, imports, compiled)}
    print(json.dumps({
        "facts": {name: fact for name, (fact, error) in results.items() if not error},
        "errors": {name: error for name, (_, error) in results.items() if error},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
