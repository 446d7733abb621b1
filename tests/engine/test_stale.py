"""`invoke stale` on real images: the archive's packages of today against those in images that were built before."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
import uuid

import pytest

from kiln import apt, aptview, bases, catalog, contents, matrix, paths, plan, process, records
from kiln import engine as engines
from kiln.bake import Inputs
from kiln.candidates import newest
from kiln.errors import AptError
from kiln.plan import Options, Wanted
from tests.engine.command import FAMILY, FULL, SLIM, Family, docker, environment, error_of
from tests.engine.test_publish import Registry

OLD = "0.0.1-1"
FRESH = "FROM {}\nCOPY status /var/lib/dpkg/status\n"


@pytest.fixture
def home(tmp_path, monkeypatch, engine):
    """Give Kiln's commands a state of their own, and the engine that this process uses."""
    home = tmp_path / "kiln"
    shutil.copytree(paths.folder("apt", "host"), home / "apt/host")
    (home / "apt/unpacked").symlink_to(paths.folder("apt", "unpacked"))
    config = home / "apt/host/apt.conf"
    config.write_text(config.read_text().replace(str(paths.home()), str(home)))
    monkeypatch.setenv("KILN_HOME", str(home))
    for name, value in engine.env.items():
        monkeypatch.setenv(name, value)
    return home


class Built:
    """Images of a family of their own, recorded as if they had been built for it."""

    def __init__(self, engine, folder, base, **changes):
        self.engine, self.folder = engine, folder
        self.family = Family(folder, **changes)
        self.base = base
        self.family.trixie["base"]["image"] = f"kiln-test.invalid/{uuid.uuid4().hex}"

    def expanded(self):
        """Return the family as it is now, expanded."""
        self.family.file.write_text(json.dumps(self.family.data), "utf-8")
        return matrix.expand(catalog.load(self.family.file), self.family.file)

    def build(self, dockerfile, *, platform=None, image=SLIM, **files):
        """Build and record an image; `files` lie in its context."""
        context = self.folder / uuid.uuid4().hex[:8]
        context.mkdir()
        for name, content in {"Dockerfile": dockerfile, **files}.items():
            (context / name).write_bytes(content if isinstance(content, bytes) else content.encode())
        platform = platform or self.engine.platform
        reference = f"{self.family.repository}:{image}-{platform.replace('/', '-')}"
        command = ("build", "--quiet", "--load", "--provenance=false", "--network=none", "--platform", platform)
        process.run(self.engine.buildx(*command, "--tag", reference, context), env=self.engine.env)
        return self.record(reference, platform, image)

    def record(self, reference, platform, image):
        """Record an image as built from what the family says now, and return its record."""
        expanded = self.expanded()
        wanted = Wanted(image=expanded.get(image), platform=platform)
        artifact = wanted.image.release.artifacts[0]
        inputs = Inputs(base="", base_digest=self.base, source="", source_sha256=artifact.sha256)
        record = records.Record(
            id=image, platform=platform, repository=self.family.repository, reference=reference,
            digest=docker(self.engine, "image", "inspect", "--format", "{{.Id}}", reference), size=1,
            inputs=plan.expected(wanted, expanded, inputs, Options(quick=True)).digest, base="", source="", quick=True,
            built="2026-11-21T00:00:00Z", seconds=1,
        )  # fmt: skip
        records.save(record)
        return record

    def stale(self, *words, **env):
        """Run `invoke stale` to its end."""
        self.expanded()
        return subprocess.run(
            [sys.executable, "-m", "invoke", "stale", "--versions", str(self.family.file), *words],
            cwd=paths.ROOT, env=environment(env), capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip

    def verdict(self, *words, **env):
        """Return the only image's verdict."""
        done = self.stale("--json", *words, **env)
        assert done.returncode == 0, done.stderr
        (found,) = json.loads(done.stdout)
        return found


@pytest.fixture
def built(engine, home, tmp_path, slim):  # noqa: ARG001 - it is recorded there
    found = Built(engine, tmp_path, base_of(engine, slim.reference))
    yield found
    for record in records.every(found.family.repository):
        docker(engine, "rmi", "--force", record.reference, check=False)


@pytest.fixture
def config(home, engine):
    """Return the configuration of the view in which Kiln asks for trixie."""
    return home / "apt" / f"now-trixie-{bases.ARCHITECTURES[engine.platform]}" / "apt.conf"


def base_of(engine, reference):
    labels = json.loads(docker(engine, "image", "inspect", "--format", "{{json .Config.Labels}}", reference))
    return labels[contents.BASE_LABEL]


@pytest.fixture
def status(built, engine, slim):
    """Return dpkg's database of an image that was built this minute, for the recorded one may be older."""
    text = docker(engine, "run", "--rm", "--network=none", slim.reference, "cat", "/var/lib/dpkg/status") + "\n\n"
    inside = contents.Contents(system="dpkg", packages=(), files={}, base="")
    names = re.findall(r"^Package: (\S+)$", text, re.MULTILINE)
    now = newest(built.expanded().get(SLIM).target, engine.platform, inside, names)
    for name, version in now.items():
        text = versioned(text, name, version)
    return text


def versioned(status, name, version):
    """Return dpkg's database with another version of a package."""
    stanza = re.compile(rf"(^Package: {re.escape(name)}\n(?:.+\n)*?Version: )\S+", re.MULTILINE)
    text, count = stanza.subn(rf"\g<1>{version}", status)
    assert count == 1, name
    return text


def aged(status, *names):
    """Return dpkg's database with old versions of some packages."""
    for name in names:
        status = versioned(status, name, OLD)
    return status


def candidates(names, config):
    """Return what apt itself would install today, and every version that it knows, by package."""
    text = process.run(["apt-cache", "-c", config, "policy", *names], env={"LC_ALL": "C"})
    found = {}
    for block in re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]:
        name, candidate = block.split(":\n")[0], re.search(r"Candidate: (\S+)", block)[1]
        found[name] = candidate, re.findall(r"^ (?:   |\*\*\*) ?(\S+) \d+$", block, re.MULTILINE)
    return found


def test_says_exactly_what_is_older(built, slim, status, config):
    """Packages that the archive has in newer versions are named with both versions, and no other."""
    status = aged(status, "libssl3t64", "tzdata")
    built.build(FRESH.format(slim.reference), status=status)
    found = built.verdict()
    names = [line.removeprefix("Package: ") for line in status.splitlines() if line.startswith("Package: ")]
    now = candidates(names, config)
    mine = dict(re.findall(r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)", status, re.MULTILINE))
    newer = {
        name: (mine[name], new)
        for name, (new, _) in now.items()
        if subprocess.run(["dpkg", "--compare-versions", new, "gt", mine[name]], check=False).returncode == 0
    }
    assert {one["name"]: (one["old"], one["new"]) for one in found["packages"]} == newer
    assert newer["libssl3t64"][0] == newer["tzdata"][0] == OLD
    assert (found["state"], found["reasons"]) == ("stale", [])
    done = built.stale("--exit-code")
    assert done.returncode == 2
    assert f"    tzdata: {OLD} -> {newer['tzdata'][1]}\n" in done.stdout
    assert "1 of 1 image would change" in done.stdout


def test_a_package_that_was_really_installed_older(built, slim, status, config):
    """An image with an older package of the archive's own would get the newer one."""
    names = re.findall(r"^Package: (\S+)$", status, re.MULTILINE)
    older = {name: (new, set(known) - {new}) for name, (new, known) in candidates(names, config).items()}
    name, new, old = next(((n, new, min(rest)) for n, (new, rest) in older.items() if rest), ("", "", ""))
    if not name:
        pytest.skip("the archive has no package of the image in two versions just now")
    folder = built.folder / "older"
    folder.mkdir()
    process.run(["apt-get", "-c", config, "-o", "Debug::NoLocking=1", "download", f"{name}={old}"], cwd=folder)
    (file,) = folder.iterdir()
    built.build(
        f"{FRESH.format(slim.reference)}COPY older.deb /\nRUN dpkg --force-all --install /older.deb",
        status=status, **{"older.deb": file.read_bytes()},
    )  # fmt: skip
    assert built.verdict()["packages"] == [{"name": name, "old": old, "new": new}]


def test_held_packages_stay(built, slim, status):
    """A package on hold, and one that no repository has, are no reason to build."""
    status = aged(status, "libssl3t64")
    held = re.sub(r"(Package: libssl3t64\nStatus: )install", r"\1hold", status)
    assert held != status
    own = "Package: of-our-own\nStatus: install ok installed\nArchitecture: all\nVersion: 1\n\n"
    built.build(FRESH.format(slim.reference), status=held + own)
    assert built.verdict()["state"] == "fresh"


def test_foreign_platforms_are_judged_without_running_them(built):
    """An image of another architecture, without a shell, is compared with that architecture's index."""
    # No other architecture has it.
    status = f"Package: linux-image-arm64\nStatus: install ok installed\nArchitecture: arm64\nVersion: {OLD}\n\n"
    base = f'LABEL {contents.BASE_LABEL}="{built.base}"'
    built.build(f"FROM scratch\n{base}\nCOPY status /var/lib/dpkg/status", platform="linux/arm64", status=status)
    found = built.verdict()
    assert found["platform"] == "linux/arm64"
    assert [(one["name"], one["old"]) for one in found["packages"]] == [("linux-image-arm64", OLD)]
    assert found["packages"][0]["new"].startswith("6.12.")


def test_another_dockerfile(built, slim, status):
    """Whatever the image would now be built from differently is a reason, without any newer package."""
    built.build(FRESH.format(slim.reference), status=status)
    assert built.verdict()["state"] == "fresh"
    built.family.trixie["packages"]["runtime"].append("file")
    found = built.verdict()
    assert (found["state"], found["packages"]) == ("stale", [])
    assert "Dockerfile" in found["reasons"][0]


def test_the_images_own_sources(built, slim, status, config, tmp_path):
    """Where this machine has no Debian archive, as a CI machine with Ubuntu, the image's own sources are asked."""
    status = aged(status, "libssl3t64")
    built.build(FRESH.format(slim.reference), status=status)
    usual = built.verdict()
    none = tmp_path / "apt.conf"
    none.write_text('Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "/dev/null";\n')
    shutil.rmtree(config.parent)
    assert built.verdict(APT_CONFIG=str(none)) == usual
    assert not config.exists()


def test_offline_is_an_error_not_fresh(built, slim, status, tmp_path):
    """Without network, nothing is called fresh: one line, exit code 1; lists of before do not count."""
    built.build(FRESH.format(slim.reference), status=status)
    assert built.verdict()["state"] == "fresh"
    config = tmp_path / "apt.conf"
    config.write_text('Acquire::http::Proxy "http://127.0.0.1:9";\nAcquire::https::Proxy "http://127.0.0.1:9";\n')
    message = error_of(built.stale(APT_CONFIG=str(config)))
    assert message.startswith(f"error: no image can be judged: {SLIM} {engines.native_platform()}: ")
    assert "127.0.0.1" in message


def test_lists_are_of_now(built, slim, status, config):
    """Lists are asked for again after a quarter of an hour, and one that cannot be had is an error."""
    built.build(FRESH.format(slim.reference), status=status)
    stamp = config.parent / "updated"
    before = time.time() - aptview.CURRENT_AGE - 60
    os.utime(stamp, (before, before))
    assert built.verdict()["state"] == "fresh"
    assert time.time() - stamp.stat().st_mtime < aptview.CURRENT_AGE
    gone = aptview.entry("deb", "http://127.0.0.1:9/debian", ["trixie"], apt.mirrors().keyring)
    with pytest.raises(AptError, match="not every package list can be had"):
        aptview.refresh("gone", gone, current=True)


def test_what_cannot_be_judged_says_why(built, slim, status):
    """An image without a package database, or one that the engine lost, is unknown beside the judged ones."""
    built.build("FROM scratch\nCOPY Dockerfile /", image=FULL)
    lost = built.build(f"FROM {slim.reference}\nLABEL lost=1", platform="linux/arm64")
    docker(built.engine, "rmi", "--force", lost.reference)
    built.build(FRESH.format(slim.reference), status=status)
    done = built.stale("--json", "--exit-code")
    found = {(one["id"], one["platform"]): (one["state"], one["reasons"]) for one in json.loads(done.stdout)}
    native = built.engine.platform
    assert found[SLIM, native] == ("fresh", [])
    assert found[FULL, native][0] == found[SLIM, "linux/arm64"][0] == "unknown"
    assert "cannot read the packages" in found[FULL, native][1][0]
    assert "no longer has" in found[SLIM, "linux/arm64"][1][0]
    assert done.returncode == 1
    assert "2 cannot be judged" in built.stale().stdout


def test_nothing_recorded(built):
    """Where nothing was built, the message says what to type."""
    message = error_of(built.stale("--exit-code"))
    assert message == "error: no image is recorded as built; `invoke build` builds and records"
    message = error_of(built.stale("*slim*"))
    assert message == "error: no image of *slim* is recorded as built; `invoke build '*slim*'` builds and records"


@pytest.fixture
def registry(home, tmp_path):  # noqa: ARG001 - its program is unpacked there
    found = Registry(tmp_path)
    yield found
    found.stop()


def test_bases_of_a_registry(registry, built, slim, status, home):
    """What is in a registry's base changes with the base's tag, not with the archive; the engine keeps no base."""
    name = f"{registry.address}/debian:trixie-slim"
    built.family.trixie["base"]["image"] = name
    status = aged(status, "libssl3t64", "tzdata")
    built.base = push_base(built, name, f"Package: tzdata\nArchitecture: all\nVersion: {OLD}\n")
    label = f'LABEL {contents.BASE_LABEL}="{built.base}"'
    built.build(f"FROM {slim.reference}\n{label}\nCOPY status /var/lib/dpkg/status", status=status)
    found = built.verdict()
    assert ([one["name"] for one in found["packages"]], found["reasons"]) == (["libssl3t64"], [])

    other = push_base(built, name, "Package: tzdata\nArchitecture: all\nVersion: 9999a-1\n")
    (home / "bases/registry.json").unlink()
    found = built.verdict()
    assert {"name": "tzdata", "old": OLD, "new": "9999a-1"} in found["packages"]
    assert found["reasons"] == [f"its base {name} is now {other}, and was {built.base}"]
    assert docker(built.engine, "image", "ls", "--quiet", f"{registry.address}/debian") == ""


def test_sources_of_the_base(registry, built, slim, config, tmp_path):
    """Where neither this machine nor an image without a package manager names a source, its base's are asked."""
    name = f"{registry.address}/debian:trixie-slim"
    built.family.trixie["base"]["image"] = name
    built.base = push_base(built, name, "Package: tzdata\nVersion: 1\n", apt=slim.reference)
    text = f"Package: libssl3t64\nArchitecture: amd64\nVersion: {OLD}\n"
    label = f'LABEL {contents.BASE_LABEL}="{built.base}"'
    built.build(f"FROM scratch\n{label}\nCOPY status /var/lib/dpkg/status.d/libssl3t64", status=text)
    none = tmp_path / "apt.conf"
    none.write_text('Dir::Etc::sourcelist "/dev/null";\nDir::Etc::sourceparts "/dev/null";\n')
    found = built.verdict(APT_CONFIG=str(none))
    assert ([(one["name"], one["old"]) for one in found["packages"]], found["reasons"]) == ([("libssl3t64", OLD)], [])
    assert not config.exists()


def push_base(built, name, status, apt=""):
    """Push an image with a package database, and perhaps another's apt, to a registry; return its digest."""
    context = built.folder / uuid.uuid4().hex[:8]
    context.mkdir()
    (context / "status").write_text(status)
    copied = [f"COPY --from={apt} {folder} {folder}\n" for folder in contents.APT_FOLDERS if apt]
    (context / "Dockerfile").write_text("FROM scratch\nCOPY status /var/lib/dpkg/status\n" + "".join(copied))
    command = ("build", "--quiet", "--load", "--provenance=false", "--tag", name, context)
    process.run(built.engine.buildx(*command), env=built.engine.env)
    docker(built.engine, "push", "--quiet", name)
    digest = docker(built.engine, "image", "inspect", "--format", "{{.Id}}", name)
    docker(built.engine, "rmi", name)
    return digest


@pytest.mark.usefixtures("slim")
def test_the_real_images(engine):
    """The images that this machine built are judged, each once, within seconds."""
    done = subprocess.run(
        [sys.executable, "-m", "invoke", "stale", "--json", "--versions", str(FAMILY)], cwd=paths.ROOT,
        env=dict(os.environ), capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = {(one["id"], one["platform"]): one for one in json.loads(done.stdout)}
    assert found[SLIM, engine.platform]["state"] in {"fresh", "stale"}
