"""`./run` and its environment: real pips, and an index on the loopback that offers newer versions of everything."""

import errno
import os
import pty
import re
import shutil
import signal
import subprocess
import sys

import pytest

from kiln import lock, network, paths
from tests.engine import wheels
from tests.engine.wheels import NEWER, Index

CODE = ("run", "kiln/__init__.py", "kiln/errors.py", *(
    path.relative_to(paths.ROOT).as_posix() for path in sorted(paths.ROOT.glob("kiln/environment*.py"))
))  # fmt: skip
LOCKS = ("requirements.txt", "requirements-nox.txt")
# `invoke` needs an extra of what is locked without extras, which pip 23 resolves anew as soon as it resolves.
FIRST = dict([
    wheels.wheel("invoke", "1", ["tool[more]>=1"], script="invoke"),
    wheels.wheel("tool", "1", ['plugin>=1; extra == "more"'], extras=["more"]),
    wheels.wheel("plugin", "1"), wheels.installed("pip"),
])  # fmt: skip
SECOND = dict([wheels.wheel("nox", "1", ["tool>=1", "checker"], script="nox"), wheels.wheel("tool", "1")])
SECOND = {name: FIRST.get(name, data) for name, data in SECOND.items()}
OFFERED = dict([
    wheels.wheel("invoke", NEWER, script="invoke"), wheels.wheel("pip", NEWER), wheels.wheel("nox", NEWER, script="nox"),
    wheels.wheel("tool", NEWER, ['plugin>=1000; extra == "more"'], extras=["more"]), wheels.wheel("plugin", NEWER),
    wheels.wheel("checker", NEWER),
])  # fmt: skip
LIST = "import importlib.metadata as m; print(*sorted(f'{d.name}=={d.version}' for d in m.distributions()))"
PIP = next(name.split("-")[1] for name in FIRST if name.startswith("pip-"))


@pytest.fixture
def index():
    """Return an index that offers what is locked, and newer versions of everything."""
    made = Index({**FIRST, **SECOND, **OFFERED})
    yield made
    made.stop()


@pytest.fixture
def checkout(tmp_path):
    """Return a checkout with locks of its own, which are small."""
    return bare(tmp_path)


def bare(folder):
    """Make a checkout in a folder, as far as `./run` needs it."""
    root = folder / "checkout"
    for name in CODE:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(paths.ROOT / name, root / name)
    (root / LOCKS[0]).write_text(wheels.lock(FIRST))
    (root / LOCKS[1]).write_text(wheels.lock(SECOND))
    return root


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Return a checkout whose environment holds both locks; for copies only."""
    root, made = bare(tmp_path_factory.mktemp("both")), Index({**FIRST, **SECOND})
    assert run(root, made, "nox").returncode == 0
    made.stop()
    return root


@pytest.fixture
def ready(both, checkout, index):
    """Return a checkout whose environment holds both locks."""
    shutil.copytree(both / ".venv", checkout / ".venv", symlinks=True)
    assert run(checkout, index, "nox").stdout == "nox 1\n"
    return checkout


def environment(index, **more):
    """Return an environment whose pip asks the loopback alone, and keeps nothing."""
    unwanted = ("PIP_", "PYTHON", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    # The environment that the tests run in stays out of it.
    folders = [folder for folder in kept["PATH"].split(":") if "/.venv/" not in f"{folder}/"]
    return {
        **kept, "PATH": ":".join(folders), "PIP_INDEX_URL": index.url, "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_CACHE_DIR": "1", "PIP_RETRIES": "0", **more,
    }  # fmt: skip


def run(checkout, index, *words, **more):
    """Run `./run` and return how that ended."""
    command = [checkout / "run", *words]
    return subprocess.run(
        command, env=environment(index, **more), capture_output=True, text=True, timeout=120, check=False
    )


def held(checkout):
    """Return what is installed; asks without another `./run`."""
    command = [checkout / ".venv/bin/python", "-I", "-c", LIST]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def left(checkout):
    """Return the files around the environment."""
    return sorted(path.name for path in checkout.glob(".venv*"))


def failed(done):
    """Return the one line that a failure is; nothing half made is left."""
    assert done.returncode == 1, done
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith(("making .venv", "adding to .venv"))]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("error: ")
    return lines[0]


def test_what_is_locked_is_installed(checkout, index):
    """`invoke` gets the first lock, `nox` the second as well; newer versions on the index change nothing."""
    done = run(checkout, index, "invoke")
    assert (done.stdout, done.returncode) == ("invoke 1\n", 0), done.stderr
    assert held(checkout) == ["invoke==1", f"pip=={PIP}", "plugin==1", "tool==1"]
    done = run(checkout, index, "nox")
    assert (done.stdout, done.returncode) == ("nox 1\n", 0), done.stderr
    assert held(checkout) == ["invoke==1", "nox==1", f"pip=={PIP}", "plugin==1", "tool==1"]
    assert left(checkout) == [".venv", ".venv.lock"]


def test_what_is_there_is_not_made_again(ready, index):
    """Without an index, and without a word."""
    index.stop()
    for word in ("invoke", "nox"):
        done = run(ready, index, word)
        assert (done.stdout, done.stderr) == (f"{word} 1\n", "")


def test_a_command_names_files_of_the_folder_that_it_is_typed_in(ready, index, tmp_path):
    """Also after an environment was made, by another `./run` in between; other programs work on the checkout."""
    folder = tmp_path / "my family"
    folder.mkdir()
    for word, begin in (("invoke", f"{folder} -r {ready}"), ("nox", str(ready))):
        program = ready / ".venv/bin" / word
        program.write_text(f"#!{program.parent}/python\nimport os, sys\nprint(os.getcwd(), *sys.argv[1:])\n")
        for place, more in ((folder, {}), (ready, {"KILN_MADE": "1", "KILN_FROM": str(folder)})):
            done = subprocess.run(
                [ready / "run", word, "x"], cwd=place, env=environment(index, **more), capture_output=True, text=True,
                check=True,
            )  # fmt: skip
            assert done.stdout == f"{begin} x\n"


def test_a_changed_lock_is_made_anew(ready, index):
    """What is no longer locked goes."""
    newer = {name: data for name, data in OFFERED.items() if name.startswith("invoke")}
    pip = {name: data for name, data in FIRST.items() if name.startswith("pip")}
    (ready / LOCKS[0]).write_text(wheels.lock(newer | pip))
    assert run(ready, index, "invoke").stdout == f"invoke {NEWER}\n"
    assert held(ready) == [f"invoke=={NEWER}", f"pip=={PIP}"]


def test_what_only_nox_needs_is_not_waited_for(ready, index):
    """`invoke` goes on with what it needs, whatever the other lock is; that one is made anew as well."""
    (ready / LOCKS[1]).write_text(wheels.lock({k: v for k, v in OFFERED.items() if k.startswith("nox")}))
    index.stop()
    assert run(ready, index, "invoke").stdout == "invoke 1\n"
    failed(run(ready, index, "nox"))
    assert run(ready, index, "invoke").stdout == "invoke 1\n"
    with_newer = Index(index.files)
    assert run(ready, with_newer, "nox").stdout == f"nox {NEWER}\n"
    with_newer.stop()
    assert held(ready) == ["invoke==1", f"nox=={NEWER}", f"pip=={PIP}", "plugin==1", "tool==1"]


def test_all_real_locks_are_installed_as_they_are(tmp_path, index):
    """Both of them, from an index where everything that they name, and each extra, is there in newer versions."""
    root = tmp_path / "real"
    shutil.copytree(paths.ROOT / "kiln", root / "kiln", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("run", *LOCKS):
        shutil.copy2(paths.ROOT / name, root / name)
    files = tmp_path / "files"
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", files]
    subprocess.run([*command, *(f"-r{paths.ROOT / name}" for name in LOCKS)], check=True, capture_output=True)
    real = {path.name: path.read_bytes() for path in files.iterdir()}
    extras = ["toml", "test", "all", "dev"]
    requires = [f'made-up>=1; extra == "{extra}"' for extra in extras]
    newer = dict(wheels.wheel(wheels.project(name), NEWER, requires, extras=extras) for name in real)
    index.files = {**real, **newer, **dict([wheels.wheel("made-up", NEWER)])}
    done = run(root, index, "nox", "--version")
    assert done.returncode == 0, done.stderr
    found = (entry.split("==") for entry in held(root))
    wanted = sorted((wheels.project(name), name.split("-")[1]) for name in real)
    assert sorted((wheels.normal(name), version) for name, version in found) == wanted


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13", "3.14"])
def test_there_are_wheels_for_each_python(python, tmp_path):
    """On both of the processors that images are built on; nothing is compiled, and nothing is installed here."""
    settings = {**os.environ, **lock.settings(network.pip_list(), os.environ)}
    for processor in ("x86_64", "aarch64"):
        command = [
            sys.executable, "-m", "uv", "pip", "install", "--dry-run", "--no-deps", "--require-hashes",
            "--only-binary=:all:", f"--python-version={python}", f"--python-platform={processor}-manylinux_2_28",
            f"--target={tmp_path}", *(f"-r{paths.ROOT / name}" for name in LOCKS),
        ]  # fmt: skip
        done = subprocess.run(command, env=settings, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_a_killed_run_is_healed_by_the_next(checkout, index):
    """What was there stays until the next one is whole."""
    index.stall("plugin-1-")
    with subprocess.Popen([checkout / "run", "invoke"], env=environment(index), stderr=subprocess.PIPE) as child:
        assert index.asked.wait(60)
        child.kill()
    assert ".venv" not in left(checkout)
    index.resume()
    assert run(checkout, index, "invoke").stdout == "invoke 1\n"
    index.stall("nox-1-")
    with subprocess.Popen([checkout / "run", "nox"], env=environment(index), stderr=subprocess.PIPE) as child:
        assert index.asked.wait(60)
        child.kill()
    assert run(checkout, index, "invoke").stdout == "invoke 1\n"
    index.resume()
    done = run(checkout, index, "nox")
    assert done.stdout == "nox 1\n", done.stderr
    assert left(checkout) == [".venv", ".venv.lock"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_nothing(checkout, index, number):
    """One line, no traceback, and pip has ended with it."""
    index.stall("plugin-1-")
    # A shell's background job, such as CI's, ignores SIGINT, and so do its children.
    command = ["env", "--default-signal=INT", checkout / "run", "invoke"]
    with subprocess.Popen(command, env=environment(index), stderr=subprocess.PIPE, text=True) as child:
        assert index.asked.wait(60)
        child.send_signal(number)
        said = child.communicate(timeout=30)[1]
    assert child.returncode == 130
    assert said.splitlines()[-1] == "interrupted; the same again begins anew"
    assert "Traceback" not in said
    assert left(checkout) == [".venv.lock", ".venv.log"]


def test_two_at_once_make_one(checkout, index):
    """The second waits for the first, and says so; with `flock` or without."""
    index.stall("plugin-1-")
    first = subprocess.Popen([checkout / "run", "invoke"], env=environment(index), stdout=subprocess.PIPE, text=True)
    assert index.asked.wait(60)
    second = subprocess.Popen(
        [checkout / "run", "nox"], env=environment(index), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )  # fmt: skip
    assert second.stderr.readline() == "another ./run makes .venv; waiting for it\n"
    index.resume()
    assert first.communicate(timeout=60)[0] == "invoke 1\n"
    assert second.communicate(timeout=60)[0] == "nox 1\n"


@pytest.mark.parametrize("name", ["elsewhere", "with a space", "x" * 120])
@pytest.mark.parametrize("old", ["gone", "there"])
def test_a_moved_checkout_works(ready, index, name, old):
    """So does a copy of one: without an index, and with its own environment rather than the old place's."""
    index.stop()
    place = ready.with_name(name)
    if old == "gone":
        ready.rename(place)
    else:
        shutil.copytree(ready, place, symlinks=True)
        for script in ("invoke", "nox", "pip"):
            (ready / ".venv/bin" / script).write_text("#!/bin/sh\necho the old one\n")
    for word in ("invoke", "nox"):
        done = run(place, index, word)
        assert (done.stdout, done.stderr) == (f"{word} 1\n", "")
    prefix = run(place, index, "python", "-c", "import sys; print(sys.prefix)").stdout
    assert prefix == f"{place}/.venv\n"
    assert run(place, index, "pip", "--version").stdout.startswith(f"pip {PIP} from {place}/")


def test_a_python_that_is_gone_is_replaced(ready, index):
    """An upgrade of the system took it away: the environment is made anew."""
    python = ready / ".venv/bin/python"
    python.unlink()
    python.symlink_to("/usr/bin/python3.0")
    assert run(ready, index, "invoke").stdout == "invoke 1\n"


def test_settings_of_pip_do_not_lead_elsewhere(checkout, index, tmp_path):
    """A user's constraints, folders and other wishes are for their own projects."""
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("tool==3\n")
    config = tmp_path / "pip.conf"
    config.write_text(
        f"[global]\nindex-url = {index.url}\nconstraint = {constraints}\n[install]\nno-binary = :all:\nuser = true\n"
    )
    done = run(
        checkout, index, "invoke", PIP_CONFIG_FILE=str(config), PIP_TARGET=str(tmp_path / "target"), PIP_USER="1",
        PIP_CONSTRAINT=str(constraints), PIP_QUIET="3", PYTHONPATH=str(tmp_path), PIP_REQUIRE_VIRTUALENV="1",
    )  # fmt: skip
    assert done.stdout == "invoke 1\n", done.stderr
    assert held(checkout) == ["invoke==1", f"pip=={PIP}", "plugin==1", "tool==1"]
    assert not (tmp_path / "target").exists()


def test_progress_is_shown(checkout, index):
    """Plain lines where there is no terminal, and the log holds what pip printed."""
    lines = run(checkout, index, "invoke").stderr.splitlines()
    assert lines[0] == "making .venv ..."
    assert re.fullmatch(r"making .venv: done in \d+s", lines[-1])
    assert all(re.fullmatch(r"making .venv: \d of 4 packages (fetched|installed)", line) for line in lines[1:-1])
    assert "Successfully installed invoke-1" in (checkout / ".venv/.venv.log").read_text()


def test_progress_is_live_on_a_terminal(checkout, index):
    """One line, rewritten."""
    main, side = pty.openpty()
    with subprocess.Popen([checkout / "run", "invoke"], env=environment(index), stdout=side, stderr=side) as child:
        os.close(side)
        text = b""
        try:
            while chunk := os.read(main, 4096):
                text += chunk
        except OSError as error:
            assert error.errno == errno.EIO  # noqa: PT017 - how the end of a terminal is known
    assert child.returncode == 0
    lines = text.decode().splitlines()
    assert re.search(r"of 4 packages", text.decode())
    assert [line for line in lines if line][-1] == "invoke 1"
    assert text.count(b"\n") == 2


def test_an_index_that_does_not_answer(checkout, index):
    """The log is named, and there is no environment."""
    index.stop()
    line = failed(run(checkout, index, "invoke"))
    log = checkout / ".venv.log"
    assert line == (
        "error: .venv: the package index does not answer, or has no invoke==1; check the network, or name another index in "
        f"PIP_INDEX_URL; log: {log}"
    )
    again = failed(run(checkout, index, "invoke", PIP_RETRIES="1"))
    assert again.startswith("error: .venv: the package index does not answer; check the network")
    assert "Connection refused" in log.read_text()
    assert left(checkout) == [".venv.lock", ".venv.log"]


def test_a_missing_file_of_certificates(checkout, index):
    """Whoever names one sees which it is."""
    # pip looks at no certificate of this machine's own addresses.
    index.url = "https://index.invalid/simple"
    line = failed(run(checkout, index, "invoke", PIP_CERT="/nonexistent/ca.crt"))
    assert line.startswith("error: .venv: /nonexistent/ca.crt: no such file of certificates; correct PIP_CERT")


def test_another_file_than_the_locked_one(checkout, index):
    """It is not installed."""
    other = wheels.wheel("plugin", "1", ["made-up"])
    index.files = index.files | dict([other])
    assert "a file of the package index is not the one that was locked" in failed(run(checkout, index, "invoke"))
    assert left(checkout) == [".venv.lock", ".venv.log"]


def test_a_version_that_the_index_lacks(checkout, index):
    """The package is named."""
    index.files = {name: data for name, data in index.files.items() if not name.startswith("plugin-1-")}
    assert "has no wheel of plugin==1 for this Python" in failed(run(checkout, index, "invoke"))


def test_no_python(checkout, index, tmp_path):
    """What was found is named beside the remedy."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("dirname", "cmp", "sh"):
        (tools / name).symlink_to(shutil.which(name))
    needed = "error: Python 3.11 or later with its whole standard library is needed; found: "
    remedy = "; install it (Debian 12 and later: apt-get install python3)"
    line = failed(run(checkout, index, "invoke", PATH=str(tools)))
    assert line == f"{needed}none{remedy}"
    # One that fails at what is asked of it first, as an older one does.
    old = tools / "python3"
    old.write_text('#!/bin/sh\ncase "$3" in *fcntl*) exit 1 ;; *) echo Python 3.9 in /usr/bin/python3 ;; esac\n')
    old.chmod(0o755)
    line = failed(run(checkout, index, "invoke", PATH=str(tools)))
    assert line == f"{needed}Python 3.9 in /usr/bin/python3{remedy}"


@pytest.mark.parametrize(
    ("mount", "remedy"),
    [
        ("mount --bind {0} {0} && mount -o remount,bind,ro {0}", "the checkout cannot be written to; run a copy of it elsewhere"),
        ("cp -r {0} {0}.copy && mount -t tmpfs -o size=600k none {0} && cp -r {0}.copy/. {0}", "the disk is full; make room"),
    ],
    ids=["read-only", "full"],
)  # fmt: skip
def test_a_disk_that_takes_nothing(checkout, index, tmp_path, mount, remedy):
    """A checkout that cannot be written to, and a disk that is full half-way."""
    names = tmp_path / "names"
    script = f'{mount.format(checkout)} && {{ "$0" invoke; code=$?; ls -A {checkout} > {names}; exit $code; }}'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, checkout / "run"], env=environment(index), capture_output=True,
        text=True, check=False,
    )  # fmt: skip
    assert remedy in failed(done)
    assert not {".venv", ".venv.part"} & set(names.read_text().split())
