"""Install packages from the index as a user would: runs in a container that has the host's network lent to it.

Prints JSON as the probe does. `GIVEN`, on the line before, says what of pip, compilers and a shell is there, and which
index is used.
"""

import io
import json
import os
import pathlib
import re
import subprocess
import tempfile
import time
import urllib.parse
import urllib.request
import zipfile

GIVEN = globals().get("GIVEN", {})
# Plain Python in a wheel.
WHEEL = "iniconfig"
# A compiled module in a wheel, for each Python and flavour another one.
COMPILED = "markupsafe"
# The sources of an extension that brings its own build backend (PEP 517), which calls the compiler as `sysconfig`
# tells users' builds to. A backend from the index would cost seconds and show no more of the image.
EXTENSION = {
    "pyproject.toml": """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
""",
    "answer.c": """\
#include <Python.h>
static PyObject *answer(PyObject *self, PyObject *args) { return PyLong_FromLong(42); }
static PyMethodDef methods[] = {{"answer", answer, METH_NOARGS, ""}, {NULL, NULL, 0, NULL}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "kiln_answer", "", -1, methods};
PyMODINIT_FUNC PyInit_kiln_answer(void) { return PyModule_Create(&module); }
""",
    "backend.py": """\
import os, shlex, subprocess, sysconfig, zipfile
from pip._vendor.packaging.tags import sys_tags

INFO = {"METADATA": "Metadata-Version: 2.1\\nName: kiln-answer\\nVersion: 1\\n"}

def prepare_metadata_for_build_wheel(folder, settings=None):
    os.mkdir(os.path.join(folder, "kiln_answer-1.dist-info"))
    for name, text in INFO.items():
        with open(os.path.join(folder, "kiln_answer-1.dist-info", name), "w") as file:
            file.write(text)
    return "kiln_answer-1.dist-info"

def build_wheel(folder, settings=None, metadata=None):
    read, tag = sysconfig.get_config_var, next(sys_tags())
    words = [read("CC"), read("CFLAGS"), read("CCSHARED"), "-I", sysconfig.get_path("include")]
    subprocess.run(shlex.split(" ".join(words)) + ["-c", "answer.c", "-o", "answer.o"], check=True)
    library = "kiln_answer" + read("EXT_SUFFIX")
    subprocess.run(shlex.split(read("LDSHARED")) + ["answer.o", "-o", library], check=True)
    wheel = f"kiln_answer-1-{tag}.whl"
    with zipfile.ZipFile(os.path.join(folder, wheel), "w") as archive:
        archive.write(library)
        files = INFO | {"WHEEL": f"Wheel-Version: 1.0\\nRoot-Is-Purelib: false\\nTag: {tag}\\n"}
        for name, text in files.items():
            archive.writestr(f"kiln_answer-1.dist-info/{name}", text)
        record = [library, *(f"kiln_answer-1.dist-info/{name}" for name in (*files, "RECORD"))]
        archive.writestr("kiln_answer-1.dist-info/RECORD", "".join(f"{name},,\\n" for name in record))
    return wheel
""",
}
# A program that runs Python within itself. It has the address of a type, and so, without PIE, the loader's copy of it.
EMBEDDING = """\
#include <Python.h>
int main(void) {
    Py_Initialize();
    PyObject *number = PyLong_FromLong(42);
    int exact = PyLong_CheckExact(number), failed = PyRun_SimpleString("import math, ssl, zlib");
    printf("%d %d %d\\n", exact, failed, Py_FinalizeEx());
    return 0;
}
"""
# Of what is thrown away in a minute, most is never imported.
os.environ |= {"PIP_NO_COMPILE": "1", "PIP_NO_CACHE_DIR": "1"}


def run(*command):
    """Run a command and return its output; a failure says its last line that is not a hint."""
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
        errors = [line.strip() for line in lines if "error" in line.lower()]
        raise RuntimeError((errors or lines or [f"ended with code {done.returncode}"])[-1][:400])
    return done.stdout.strip()


def wheel():
    """Tell where a package lands that pip installs as a wheel."""
    run("pip", "install", "--only-binary=:all:", WHEEL)
    return imported(WHEEL)


def compiled_wheel():
    """Tell the tags of a compiled wheel that pip chooses, its module's file, and whether that turns the lock on."""
    run("pip", "install", "--only-binary=:all:", COMPILED)
    code = f"""
import importlib.metadata, json, sys
import {COMPILED}._speedups as module
lines = importlib.metadata.distribution("{COMPILED}").read_text("WHEEL").splitlines()
tags = {{line.partition(": ")[2].rpartition("-")[0] for line in lines if line.startswith("Tag: ")}}
print(json.dumps({{"tags": sorted(tags), "file": module.__file__, "gil": sys._is_gil_enabled()}}))
"""
    return json.loads(run("python3", "-B", "-c", code))


def extension():
    """Tell where a C extension lands that pip builds here from sources."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in EXTENSION.items():
            pathlib.Path(folder, name).write_text(text, encoding="utf-8")
        run("pip", "install", "--no-build-isolation", "--no-index", folder)
    return imported("kiln_answer")


def embedding():
    """Tell what programs print that embed Python: built as the compiler does by itself, and without PIE."""
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "main.c").write_text(EMBEDDING, encoding="utf-8")
        words = run("python3-config", "--embed", "--includes", "--ldflags").split()
        said = []
        for options in ((), ("-fno-pie", "-no-pie")):
            run("gcc", *options, f"{folder}/main.c", "-o", f"{folder}/main", *words)
            said.append(run(f"{folder}/main"))
    return said


def environment():
    """Tell which pip a new virtual environment has, of the wheel that comes with Python."""
    with tempfile.TemporaryDirectory() as folder:
        run("python3", "-m", "venv", folder)
        return run(f"{folder}/bin/pip", "--version").replace(folder, "FOLDER")


def imported(name):
    """Return the file of a module that has just been installed, as a process of its own imports it."""
    return run("python3", "-B", "-c", f"import {name} as module; print(module.__file__)")


def user():
    """Tell who runs commands in the image, at home where, and in which folder."""
    return [os.getuid(), os.path.expanduser("~"), str(pathlib.Path.cwd())]  # noqa: PTH111 - as the probe does


def https():
    """Tell what Python's own client gets from the index over TLS."""
    with urllib.request.urlopen(page(), timeout=30) as answer:  # noqa: S310 - what pip uses
        return answer.status


def page():
    """Return the address of the index's page of a package."""
    return GIVEN["index"].rstrip("/") + "/" + WHEEL + "/"


def unpacked():
    """Tell where a package lands that is unpacked from its wheel into the user's own folder."""
    with urllib.request.urlopen(page(), timeout=30) as answer:  # noqa: S310 - what pip uses
        links = re.findall(r'href="([^"#]+[.]whl)', answer.read().decode())
    with urllib.request.urlopen(urllib.parse.urljoin(page(), links[-1]), timeout=30) as answer:  # noqa: S310 - as above
        folder = tempfile.mkdtemp(dir=pathlib.Path.home())
        zipfile.ZipFile(io.BytesIO(answer.read())).extractall(folder)
    os.environ["PYTHONPATH"] = folder
    return imported(WHEEL)


def writable():
    """Tell which folders the image's user can write to; the engine's own are left out."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:  # noqa: PTH123 - as the probe does
        hidden = {line.split()[4] for line in file} - {"/"} | {"/proc", "/sys", "/dev"}
    found = []
    for folder, names, _ in os.walk("/"):
        names[:] = [name for name in names if os.path.join(folder, name) not in hidden]  # noqa: PTH118 - as above
        if os.access(folder, os.W_OK):
            found.append(folder)
    return sorted(found)


def shell():
    """Tell what a shell says, by its name on PATH."""
    return run("sh", "-c", "echo $((1 + 2)) $(basename $(which python3))")


def guarded(group):
    """Return (fact, why it failed, seconds) of a group."""
    begin = time.monotonic()
    try:
        fact, error = group(), ""
    except Exception as problem:  # noqa: BLE001 - whatever a broken image does is a fact of it
        fact, error = None, f"{type(problem).__name__}: {problem}"
    return fact, error, time.monotonic() - begin


def wait():
    """Wait until the probe knows all of the image as it was built."""
    end = time.monotonic() + 120
    while GIVEN.get("told") and not pathlib.Path(GIVEN["told"]).exists() and time.monotonic() < end:
        time.sleep(0.02)


def main():
    """Print what was installed and what failed."""
    results = {"user": guarded(user), "https": guarded(https)}
    if not GIVEN.get("pip"):
        results["writable"] = guarded(writable)
    wait()
    results["wheel"] = guarded(wheel if GIVEN.get("pip") else unpacked)
    if GIVEN.get("pip"):
        results["environment"] = guarded(environment)
    if GIVEN.get("shell"):
        results["shell"] = guarded(shell)
    if GIVEN.get("freethreaded"):
        results["compiled_wheel"] = guarded(compiled_wheel)
    if GIVEN.get("builds"):
        results["extension"] = guarded(extension)
        results["embedding"] = guarded(embedding)
    print(json.dumps({
        "facts": {name: fact for name, (fact, error, _) in results.items() if not error},
        "errors": {name: error for name, (_, error, _) in results.items() if error},
        "seconds": {name: round(took, 2) for name, (_, _, took) in results.items()},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
