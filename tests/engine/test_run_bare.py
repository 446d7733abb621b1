"""`./run` where there is nothing but Python: in root file systems of Debian, as a fresh machine has them."""

import re
import shutil
import subprocess

import pytest

from kiln.bootstrap import Bootstrap, bootstrap
from tests.engine.test_run import FIRST, OFFERED, SECOND, bare
from tests.engine.wheels import Index

# The root file system becomes `/` in namespaces of its own, which end with the command; the network is the host's.
ENTER = """
set -eu
root=$1 words=$2
mount --make-rprivate /
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
cd "$root"
pivot_root . mnt
umount -l /mnt
cd /kiln
exec env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root PIP_RETRIES=0 sh -c "$words"
"""
# What apt of the host asks by may be a proxy, or settings without which a mirror is not believed.
_OWN = ("Acquire::GzipIndexes", "Acquire::IndexTargets", "Acquire::Languages")


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def debian(request, tmp_path_factory):
    """Return a root file system with `python3` and no certificates, as `apt-get install python3` makes it."""
    folder = tmp_path_factory.mktemp(request.param)
    made = Bootstrap(suite=request.param, output=folder / "root", log=folder / "log", include=["python3"])
    root = bootstrap(made)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    settings = subprocess.run(["apt-config", "dump", "Acquire"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in settings.splitlines() if not line.startswith(_OWN)]
    (root / "etc/apt/apt.conf.d/50host").write_text("\n".join(lines) + "\n")
    # The newer host's keyring has a name that an older system does not know; a fresh machine trusts its own keys.
    for source in [root / "etc/apt/sources.list", *(root / "etc/apt/sources.list.d").glob("*")]:
        if source.is_file():
            text = re.sub(r"(?i)signed-by=[^\s\]]+|^signed-by:.*\n", "", source.read_text(), flags=re.MULTILINE)
            source.write_text(text.replace("[ ]", "").replace("[]", ""))
    assert not (root / "etc/ssl/certs/ca-certificates.crt").exists()
    return root


@pytest.fixture
def index():
    """Return an index that offers what is locked, and newer versions of everything."""
    made = Index({**FIRST, **SECOND, **OFFERED})
    yield made
    made.stop()


@pytest.fixture
def enter(debian, tmp_path, index):
    """Return a function that runs words of a shell in a fresh checkout within the root file system."""
    kiln = debian / "kiln"
    shutil.rmtree(kiln, ignore_errors=True)
    shutil.copytree(bare(tmp_path), kiln)

    def call(words, conf=""):
        (debian / "etc/pip.conf").write_text(f"[global]\nindex-url = {index.url}\n{conf}")
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", ENTER, "enter", debian, words]
        return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)

    call.root = kiln
    return call


def line(done):
    """Return the one line that a failure is."""
    assert done.returncode == 1, done
    lines = [one for one in done.stderr.splitlines() if not one.startswith("making .venv")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_python_is_all_it_needs(enter):
    """No pip, no certificates; what is installed is what is locked, and the host stays as it is."""
    packages = "{ dpkg-query --show; ls /var/lib/apt/lists /etc/ssl 2>&1; }"
    done = enter(
        f"{packages} > /tmp/before; ./run invoke && ./run nox && {packages} > /tmp/after; cmp /tmp/before /tmp/after"
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "invoke 1\nnox 1\n"
    assert sorted(path.name for path in enter.root.glob(".venv*")) == [".venv", ".venv.lock"]


def test_what_is_missing_is_one_line(enter, index):
    """A file of certificates that is named and missing, no apt to fetch pip with, half a Python, no Python."""
    # pip looks at no certificate of this machine's own addresses.
    index.url = "https://index.invalid/simple"
    named = line(enter("./run invoke", conf="cert = /etc/company.crt\n"))
    assert named.startswith("error: .venv: /etc/company.crt: no such file of certificates; correct PIP_CERT")
    assert "the package index does not answer" in line(enter("./run invoke"))
    mounts = "mount -t tmpfs none"
    no_apt = line(enter("mount --bind /usr/bin/false /usr/bin/apt-get; ./run invoke"))
    assert no_apt.startswith(
        "error: .venv: there is no pip, and python3-pip-whl cannot be fetched with apt; install it (Debian: apt-get install python3-venv)"
    )
    assert line(enter(f"{mounts} $(echo /usr/lib/python3.*/venv); ./run invoke")).endswith(
        "install it (Debian 12 and later: apt-get install python3)"
    )
    assert "found: none" in line(
        enter("mkdir /tools; ln -s /usr/bin/dirname /usr/bin/cmp /tools; PATH=/tools; ./run invoke")
    )
    assert sorted(path.name for path in enter.root.glob(".venv*")) == [".venv.lock", ".venv.log"]
