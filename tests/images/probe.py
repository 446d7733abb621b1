"""Tell the facts of an image as JSON: runs in its container, fed to `python3 -B -`, and changes nothing there.

Only the standard library, and that with care: an import that fails is a fact of its own group and
leaves the others whole. The first line that is sent defines `GIVEN`, what the tests know already.
"""

# A walk over all files of an image is faster with os than with pathlib, and its output is its answer.
# ruff: noqa: PTH109, PTH111, PTH112, PTH113, PTH116, PTH118, PTH119, PTH123, PTH208

import concurrent.futures
import json
import os
import platform
import re
import shutil
import stat
import struct
import subprocess
import sys
import sysconfig
import tempfile

GIVEN = globals().get("GIVEN", {})
PREFIX = "/usr/local"
STDLIB = sysconfig.get_paths()["stdlib"]
STATUS = "/var/lib/dpkg/status.d"
SHELLS = ("sh", "ash", "bash", "busybox", "dash", "ksh", "zsh")
# The host's network is lent to the container; the facts are of the image without it.
LENT = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "PIP_CONFIG_FILE")
_WRITTEN_TO = ("/etc/", "/root/", "/home/", "/run/", "/tmp/", "/var/", "/opt/", PREFIX)  # noqa: S108
LOADED = "argparse, ast, asyncio, decimal, email.message, http.client, inspect, json, logging, tempfile, zipfile"


def python(code, *options):
    """Run Python code in a process of its own: whatever it does to itself, the facts survive."""
    done = subprocess.run(
        ["python3", "-B", *options, "-c", code], capture_output=True, timeout=120, stdin=subprocess.DEVNULL,
        check=False,
    )  # fmt: skip
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"python3 ended with code {done.returncode}")
    return done


def python_json(code):
    """Run Python code that prints JSON, and return that."""
    return json.loads(python("import json\n" + code).stdout)


def interpreter():
    """Tell what the running Python is."""
    config = sysconfig.get_config_var
    return {
        "version": platform.python_version(),
        "implementation": sys.implementation.name,
        "freethreaded": bool(config("Py_GIL_DISABLED")),
        "gil": getattr(sys, "_is_gil_enabled", lambda: True)(),
        "library": config("INSTSONAME"),
        "flags": {name: config(name) for name in ("CC", "CXX", "CFLAGS", "CCSHARED", "LDFLAGS", "LDSHARED", "AR")},
        "executable": sys.executable,
        "prefix": sys.prefix,
        "configure": config("CONFIG_ARGS") or "",
        "machine": platform.machine(),
        "bits": struct.calcsize("P") * 8,
        "byteorder": sys.byteorder,
        "user": os.getuid(),
        "home": os.path.expanduser("~"),
        "folder": os.getcwd(),
    }


def commands():
    """Tell what the commands that a user types are, and what they answer."""
    asked = {
        "python": "--version", "python3": "--version", "pip": "--version", "pip3": "--version",
        "pydoc": "zlib", "idle": "", "python-config": "--includes", "python" + ld_version(): "--version",
    }  # fmt: skip
    paths = {name: shutil.which(name) or "" for name in asked}
    targets = {name: os.path.realpath(path) if path else "" for name, path in paths.items()}
    # Two names of one program give one answer.
    calls = {(targets[name], option): paths[name] for name, option in asked.items() if paths[name] and option}
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        answers = dict(zip(calls, pool.map(answer, calls.values(), [option for _, option in calls]), strict=True))
    return {
        name: {
            "path": paths[name],
            "target": targets[name],
            "answer": answers.get((targets[name], option), ""),
            "inode": os.stat(paths[name]).st_ino if paths[name] else 0,
        }
        for name, option in asked.items()
    }


def ld_version():
    """Return the series with the flavour's letter, as the names of program and library have it: `3.13t`."""
    return sysconfig.get_config_var("LDVERSION")


def answer(path, option):
    """Return the first line that a command prints."""
    # pip must not write the bytecode that another group is about to find missing.
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [path, option], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, timeout=60,
        env=environment, check=False,
    )  # fmt: skip
    first = (done.stdout.decode(errors="replace").strip().splitlines() or [""])[0]
    return first if done.returncode == 0 else f"ended with code {done.returncode}: {first}"


def compilers():
    """Tell which of the given names are commands of the image."""
    folders = {*os.environ["PATH"].split(":"), "/usr/sbin", "/sbin", "/usr/lib/gcc"}
    pattern = re.compile(GIVEN.get("compilers", "(?!)"))
    found = []
    for folder in folders:
        if os.path.isdir(folder):
            found += [os.path.join(folder, name) for name in os.listdir(folder) if pattern.fullmatch(name)]
    return sorted(found)


def packages():
    """Tell the names of the installed packages, from the database of dpkg or apk, or from a file for each package."""
    text = ""
    paths = ["/var/lib/dpkg/status", "/lib/apk/db/installed", "/usr/lib/apk/db/installed", *status_files()]
    for path in paths:
        if os.path.isfile(path):
            with open(path, encoding="utf-8", errors="replace") as file:
                text += file.read() + "\n\n"
    blocks = [block for block in text.split("\n\n") if "\nStatus: " not in block or " installed\n" in block + "\n"]
    names = (re.search(r"^(?:Package: |P:)(\S+)", block, re.MULTILINE) for block in blocks)
    return sorted({name.group(1) for name in names if name})


def status_files():
    """Return the files that tell of a package each, where no package manager is."""
    names = os.listdir(STATUS) if os.path.isdir(STATUS) else []
    return [os.path.join(STATUS, name) for name in sorted(names) if not name.endswith(".md5sums")]


def recorded():
    """Tell which files these packages list, which of those are not as listed, and which packages lack a licence."""
    listed, wrong = [], []
    for path in status_files():
        with open(path + ".md5sums", encoding="utf-8") as file:
            lines = [line.rstrip("\n").split("  ", 1) for line in file]
        for digest, name in lines:
            full = "/" + name
            listed.append(os.path.realpath(full))
            if not os.path.isfile(full) or md5(full) != digest:
                wrong.append(full)
    names = [os.path.basename(path) for path in status_files()]
    bare = [name for name in names if not os.path.isfile("/usr/share/doc/" + name + "/copyright")]
    return {"listed": sorted(listed), "wrong": wrong, "without_licence": bare}


def md5(path):
    """Return the MD5 of a file: what dpkg's packages list."""
    import hashlib

    with open(path, "rb") as file:
        return hashlib.md5(file.read(), usedforsecurity=False).hexdigest()


def programs():
    """Tell all commands on PATH but the engine's own."""
    folders = {os.path.realpath(folder) for folder in os.environ["PATH"].split(":")}
    paths = [os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]
    hidden = {os.path.realpath(path) for path in mount_points()}
    return sorted(path for path in paths if os.access(path, os.X_OK) and path not in hidden)


def present():
    """Tell which of the modules are there that must not be."""
    import importlib.util

    return [name for name in GIVEN.get("absent", []) if importlib.util.find_spec(name)]


def granted():
    """Tell which of the libraries do not load that wheels take for granted, and why."""
    import ctypes

    failed = {}
    for name in GIVEN.get("granted", []):
        try:
            ctypes.CDLL(name)
        except OSError as error:
            failed[name] = str(error)
    return failed


def system():
    """Tell what the system calls itself, whom it knows, and how it resolves its own name."""
    import grp
    import pwd
    import socket

    with open("/etc/os-release", encoding="utf-8") as file:
        told = dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    return {
        "release": {key: value.strip('"') for key, value in told.items()},
        "users": {one.pw_name: [one.pw_uid, one.pw_gid, one.pw_dir] for one in pwd.getpwall()},
        "groups": {one.gr_name: one.gr_gid for one in grp.getgrall()},
        "modes": {path: stat.S_IMODE(os.lstat(path).st_mode) for path in GIVEN.get("folders", [])},
        "localhost": sorted({found[4][0] for found in socket.getaddrinfo("localhost", 80)}),
    }


def pinned():
    """Tell the versions that pip lists, where the family pins any; listing them takes pip half a second."""
    if not GIVEN.get("pins"):
        return {}
    command = ["python3", "-B", "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    done = subprocess.run(command, capture_output=True, timeout=120, stdin=subprocess.DEVNULL, check=True)
    return {one["name"].lower(): one["version"] for one in json.loads(done.stdout)}


def modules():
    """Tell which extension modules fail to import, and why."""
    folder = os.path.join(STDLIB, "lib-dynload")
    names = sorted({name.split(".")[0] for name in os.listdir(folder) if name.endswith(".so")})
    code = """
import importlib, sys
failed = {}
for name in %r:
    try:
        importlib.import_module(name)
    except BaseException as error:
        failed[name] = f"{type(error).__name__}: {error}"
print(json.dumps(failed))
"""
    wanted = [*names, *GIVEN.get("modules", [])]
    try:
        failed = python_json(code % wanted)
    except (RuntimeError, ValueError):
        # One of them ends the process; the others are asked alone.
        failed = {}
        for name in wanted:
            try:
                failed.update(python_json(code % [name]))
            except (RuntimeError, ValueError) as error:
                failed[name] = str(error)
    return {"found": names, "failed": failed}


def lock():
    """Tell, of a free-threaded Python, whether the global lock is off when all is imported, and threads run beside.

    Each of two threads waits in a loop for the other one's step. A global lock that is asked for once
    in an hour would let the first one wait until it gives up.
    """
    if not sysconfig.get_config_var("Py_GIL_DISABLED"):
        return {}
    return python_json(
        "import importlib, os, sys, sysconfig, threading, time\n"
        "folder = os.path.join(sysconfig.get_paths()['stdlib'], 'lib-dynload')\n"
        "names = sorted({name.split('.')[0] for name in os.listdir(folder) if name.endswith('.so')})\n"
        "for name in names:\n"
        "    importlib.import_module(name)\n"
        "sys.setswitchinterval(3600)\n"
        "steps, end = [0, 0], time.monotonic() + 20\n"
        "def walk(mine, other):\n"
        "    for step in range(1, 101):\n"
        "        steps[mine] = step\n"
        "        while steps[other] < step and time.monotonic() < end:\n"
        "            pass\n"
        "        if steps[other] < step:\n"
        "            return\n"
        "threads = [threading.Thread(target=walk, args=pair) for pair in ((0, 1), (1, 0))]\n"
        "for thread in threads:\n"
        "    thread.start()\n"
        "for thread in threads:\n"
        "    thread.join()\n"
        "print(json.dumps({'modules': len(names), 'gil': sys._is_gil_enabled(), 'steps': steps}))"
    )


def tk():
    """Tell the version of Tcl that tkinter runs, or why it does not."""
    try:
        import tkinter

        return tkinter.Tcl().eval("info patchlevel")
    except ImportError as error:
        return f"{type(error).__name__}: {error}"


def sqlite():
    """Tell what a database answers."""
    import sqlite3

    base = sqlite3.connect(":memory:")
    base.enable_load_extension(True)
    base.execute("create table t (a)")
    base.executemany("insert into t values (?)", [(1,), (2,), ("\u00e9",)])
    return base.execute("select count(*), max(a) from t").fetchone()


def tls():
    """Tell what the ssl module can do and how many authorities it trusts by default."""
    import ssl

    paths, context = ssl.get_default_verify_paths(), ssl.create_default_context()
    folder = os.listdir(paths.capath) if paths.capath else []
    return {
        "openssl": ssl.OPENSSL_VERSION,
        "tls12": ssl.HAS_TLSv1_2,
        "tls13": ssl.HAS_TLSv1_3,
        "verified": context.verify_mode == ssl.CERT_REQUIRED and context.check_hostname,
        "authorities": max(context.cert_store_stats()["x509_ca"], len(folder)),
    }


def zones():
    """Tell what zoneinfo knows."""
    import datetime
    import zoneinfo

    summer = datetime.datetime(2024, 7, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Berlin"))
    return {"count": len(zoneinfo.available_timezones()), "hours": summer.utcoffset().seconds / 3600}


def text():
    """Tell how Python writes text here, and whether names and output outside of ASCII survive."""
    import locale

    name = "za\u017c\u00f3\u0142\u0107 \u2713"
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, name)
        with open(path, "w") as file:
            file.write(name)
        with open(path, "rb") as file:
            kept = os.listdir(os.fsencode(folder)) == [name.encode()] and file.read() == name.encode()
    encodings = {locale.getpreferredencoding(False), sys.getfilesystemencoding(), sys.stdout.encoding}
    locale.setlocale(locale.LC_ALL, "")
    return {"encodings": sorted({encoding.lower() for encoding in encodings}), "kept": kept}


def thread_stack():
    """Tell whether the recursion limit stops a thread that recurses through C code, before its stack ends."""
    return python_json(
        "import sys, threading\n"
        "ended = []\n"
        "def down(level):\n"
        "    return max([level], key=lambda _: down(level + 1))\n"
        "def work():\n"
        "    json.loads('[' * 900 + ']' * 900)\n"
        "    try:\n"
        "        down(0)\n"
        "    except RecursionError:\n"
        "        ended.append(sys.getrecursionlimit())\n"
        "thread = threading.Thread(target=work)\n"
        "thread.start()\n"
        "thread.join()\n"
        "print(json.dumps(ended[0]))"
    )


def services():
    """Tell the port of a service that netbase knows."""
    import socket

    return socket.getservbyname("https", "tcp")


def compiled():
    """Tell which modules are compiled at import, though their bytecode should be there."""
    words = python("import " + LOADED, "-v").stderr.decode(errors="replace").splitlines()
    mark = "# code object from "
    codes = [line[len(mark) :].strip("'") for line in words if line.startswith(mark)]
    return {
        "cached": sum(path.endswith(".pyc") for path in codes),
        "fresh": [path for path in codes if not path.endswith(".pyc")],
    }


def foreign_certificates():
    """Tell how many trusted certificates come from no package."""
    bundle, shipped = "/etc/ssl/certs/ca-certificates.crt", "/usr/share/ca-certificates"
    if not os.path.isfile(bundle) or not os.path.isdir(shipped):
        return 0
    known = set()
    for folder, _, names in os.walk(shipped):
        for name in names:
            known |= certificates(os.path.join(folder, name))
    return len(certificates(bundle) - known)


def certificates(path):
    """Return the certificates of a PEM file, without line ends."""
    with open(path, "rb") as file:
        found = re.findall(rb"-----BEGIN CERTIFICATE-----(.*?)-----END", file.read(), re.DOTALL)
    return {b"".join(one.split()) for one in found}


def tree():
    """Tell what is odd about the files of the image, in one walk over all of them."""
    found = {name: [] for name in ("setuid", "writable", "archives", "objects", "headers", "leftovers")}
    found |= {"test_folders": [], "secrets": [], "elf": [], "shells": [], "building": []}
    hidden = mount_points() | set(GIVEN.get("hidden", []))
    secret_names = re.compile(GIVEN.get("secret_names", "(?!)"))
    needles = [needle.encode() for needle in GIVEN.get("needles", [])]
    leftovers = re.compile(GIVEN.get("leftovers", "(?!)"))
    count, waiting = 0, ["/"]
    while waiting:
        folder = waiting.pop()
        if folder.startswith(PREFIX) and os.path.basename(folder) in ("test", "tests", "idle_test"):
            found["test_folders"].append(folder)
        for entry in os.scandir(folder):
            if entry.path in hidden or entry.is_symlink():
                continue
            status = entry.stat(follow_symlinks=False)
            mode, path = status.st_mode, entry.path
            if mode & 0o002 and not (stat.S_ISDIR(mode) and mode & stat.S_ISVTX):
                found["writable"].append(path)
            if stat.S_ISDIR(mode):
                waiting.append(path)
                if leftovers.fullmatch(path + "/"):
                    found["leftovers"].append(path + "/")
            elif stat.S_ISREG(mode):
                count += 1
                regular(path, status, found, secret_names, leftovers)
                if needles and holds(path, status.st_size, needles):
                    found["secrets"].append(path)
    return {"files": count, **{name: sorted(paths) for name, paths in found.items()}}


def regular(path, status, found, secret_names, leftovers):
    """Note what one file is, by its name, mode and first bytes."""
    if status.st_mode & 0o6000:
        found["setuid"].append(path)
    if path.endswith((".a", ".la")):
        found["archives"].append(path)
    elif path.endswith(".o") and path.startswith(PREFIX):
        found["objects"].append(path)
    elif path.endswith((".h", ".hpp")) and path.startswith("/usr/include/"):
        found["headers"].append(path)
    elif secret_names.search(path):
        found["secrets"].append(path)
    special(path, found)
    if leftovers.fullmatch(path) and status.st_size:
        found["leftovers"].append(path)
    if ".so" in path or status.st_mode & 0o111:
        header = elf(path)
        if header:
            found["elf"].append((path, status.st_ino, *header))


def special(path, found):
    """Note whether one file is a shell, or something of Python's that extensions are built with."""
    name = os.path.basename(path)
    if name in SHELLS:
        found["shells"].append(path)
    if path.startswith(PREFIX) and (name.startswith("Makefile") or name.endswith((".h", ".pc", ".a", "-config"))):
        found["building"].append(path)


def mount_points():
    """Return what the engine puts over the image's own files."""
    with open("/proc/self/mountinfo", encoding="utf-8") as file:
        return {line.split()[4] for line in file} - {"/"} | {"/proc", "/sys", "/dev", "/.dockerenv"}


def elf(path):
    """Return (machine, bits, byte order) of a program or shared library, or nothing for other files."""
    with open(path, "rb") as file:
        head = file.read(20)
    if len(head) < 20 or head[:4] != b"\x7fELF":
        return None
    order = "little" if head[5] == 1 else "big"
    kind, machine = (int.from_bytes(head[at : at + 2], order) for at in (16, 18))
    return (machine, 32 * head[4], order) if kind in (2, 3) else None


def unstripped(elves):
    """Tell which programs and libraries of Python's own hold a symbol table, which nothing but debuggers reads."""
    mine = (path for path, *_ in elves if path.startswith(PREFIX) and "/site-packages/" not in path)
    return sorted(path for path in mine if has_symbols(path))


def has_symbols(path):
    """Tell whether an ELF file has a section of type SHT_SYMTAB."""
    with open(path, "rb") as file:
        data = file.read()
    order = "little" if data[5] == 1 else "big"
    # Where the section headers begin, how long one is, and how many there are.
    fields = ((40, 8), (58, 2), (60, 2)) if data[4] == 2 else ((32, 4), (46, 2), (48, 2))
    begin, size, count = (int.from_bytes(data[at : at + length], order) for at, length in fields)
    kinds = (int.from_bytes(data[at + 4 : at + 8], order) for at in range(begin, begin + size * count, size))
    return 2 in kinds


def holds(path, size, needles):
    """Tell whether a small file of a folder that people and builds write to holds one of the needles."""
    if size > 1 << 18 or not path.startswith(_WRITTEN_TO):
        return False
    with open(path, "rb") as file:
        content = file.read()
    return any(needle in content for needle in needles)


def bytecode():
    """Tell which modules below the standard library lack bytecode, have another kind or another source's name."""
    missing, other, misnamed, count = [], [], [], 0
    for folder, _, names in os.walk(STDLIB):
        for name in names:
            if not name.endswith(".py"):
                continue
            source = os.path.join(folder, name)
            tag = f"{name[:-3]}.{sys.implementation.cache_tag}.pyc"
            count += 1
            try:
                with open(os.path.join(folder, "__pycache__", tag), "rb") as file:
                    # PEP 552: 1 says that a hash follows, 2 that the source must be looked at.
                    if int.from_bytes(file.read(8)[4:], "little") != 1:
                        other.append(source)
                    # Another name makes each import rewrite all code of the module.
                    if source.encode() not in file.read():
                        misnamed.append(source)
            except FileNotFoundError:
                missing.append(source)
    return {"count": count, "missing": sorted(missing), "other": sorted(other), "misnamed": sorted(misnamed)}


def unresolved(elves):
    """Tell which programs and libraries lack a shared library: what `ldd` prints, asked of the loader itself."""
    machine = elf(os.path.realpath(sys.executable))
    loader = interpreter_of(os.path.realpath(sys.executable))
    first = {inode: path for path, inode, *header in reversed(elves) if tuple(header) == machine}
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        missing = pool.map(lambda path: missing_libraries(loader, path), first.values())
        lacking = {path: names for path, names in zip(first.values(), missing, strict=True) if names}
    return {"checked": len(first), "missing": lacking}


def interpreter_of(path):
    """Return the program loader that an ELF file names: its segment of type PT_INTERP."""
    with open(path, "rb") as file:
        data = file.read()
    wide, order = data[4] == 2, "little" if data[5] == 1 else "big"
    # Where the program headers begin, how long one is, and how many there are.
    fields = ((32, 8), (54, 2), (56, 2)) if wide else ((28, 4), (42, 2), (44, 2))
    begin, size, count = (int.from_bytes(data[at : at + length], order) for at, length in fields)
    places = ((8, 8), (32, 8)) if wide else ((4, 4), (16, 4))
    for header in range(begin, begin + size * count, size):
        if int.from_bytes(data[header : header + 4], order) == 3:
            start, length = (int.from_bytes(data[header + at : header + at + long], order) for at, long in places)
            return data[start : start + length].rstrip(b"\0").decode()
    raise RuntimeError(path + " names no program loader")


def library():
    """Tell whether what links to the shared library runs in this interpreter and has its types, or a second one's."""
    import ctypes

    found = ctypes.CDLL(sysconfig.get_config_var("INSTSONAME"))
    same = ctypes.addressof(ctypes.c_char.in_dll(found, "PyLong_Type")) == id(int)
    return {"initialized": bool(found.Py_IsInitialized()), "same types": same}


def missing_libraries(loader, path):
    """Return the shared libraries that one file needs and the loader does not find."""
    args = [loader, "--list", path] if "ld-musl" in loader else [loader, path]
    found = re.findall(r"(\S+) => not found|loading shared library (\S+):|libraries: (\S+): cannot open", spawn(args))
    return sorted({name for names in found for name in names if name})


def spawn(args):
    """Return what a program prints that runs for each of a thousand files; `subprocess` costs thrice as much."""
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8", errors="replace") as output:
        try:
            actions = [(os.POSIX_SPAWN_DUP2, writing, 1), (os.POSIX_SPAWN_DUP2, writing, 2)]
            child = os.posix_spawn(args[0], args, {**os.environ, "LD_TRACE_LOADED_OBJECTS": "1"}, file_actions=actions)
        finally:
            os.close(writing)
        text = output.read()
    os.waitpid(child, 0)
    return text


# In processes of their own, some of which may crash; and within this one.
APART = (commands, modules, pinned, compiled, thread_stack, lock, library)
HERE = (
    interpreter, compilers, packages, bytecode, foreign_certificates, tk, sqlite, tls, zones, text, services, system,
    recorded, programs, present, granted,
)  # fmt: skip


def guarded(group, *args):
    """Return (fact, "") of a group, or (None, why it failed)."""
    try:
        return group(*args), ""
    except Exception as error:  # noqa: BLE001 - whatever a broken image does is a fact of it
        return None, f"{type(error).__name__}: {error}"


def main():
    """Print all facts, and the reasons of those that could not be had."""
    for name in LENT:
        os.environ.pop(name, None)
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        running = {group.__name__: pool.submit(guarded, group) for group in APART}
        # Before a group writes temporary files, which would be found.
        results = {"tree": guarded(tree)}
        results |= {group.__name__: guarded(group) for group in HERE}
        results |= {name: future.result() for name, future in running.items()}
    if GIVEN.get("told"):
        # From here on, packages may be installed: the loader is asked about files that are known.
        open(GIVEN["told"], "w").close()
    if results["tree"][0]:
        results["unresolved"] = guarded(unresolved, results["tree"][0]["elf"])
        results["unstripped"] = guarded(unstripped, results["tree"][0]["elf"])
    facts = {name: fact for name, (fact, error) in results.items() if not error}
    print(json.dumps({"facts": facts, "errors": {name: error for name, (_, error) in results.items() if error}}))


if __name__ == "__main__":
    main()
