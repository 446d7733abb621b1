"""`invoke add`, `invoke drop` and what fills a family in: against python.org on loopback, real archives and the real index."""

import datetime
import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiln import apt, catalog, paths, releases
from tests.engine.test_update import FILES, LISTING, Reply, Site, release, site, source
from tests.unit import family as f
from tests.unit.test_packages import UVICORN

__all__ = ["site"]
NOBODY = "http://127.0.0.1:9"
HELD, NEXT = "3.13.5", "3.13.6"
DAY = datetime.datetime(2031, 5, 4, 12, tzinfo=datetime.UTC)


class Folder:
    """A family in a folder of its own."""

    def __init__(self, folder: Path, home: Path | None = None, **changes: object) -> None:
        """Write the family with some top-level values replaced; no origin but python.org, unless they say so."""
        folder.mkdir()
        self.file, self.home = folder / "versions.json", home
        f.write(self.file, f.family(**{"sources": {"debian": [], "mirrors": []}, **changes}))
        self.file.write_text(catalog.dumps(catalog.load(self.file)), "utf-8")

    def run(self, *words: str, org: str = NOBODY, expected: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command on it."""
        env = {**os.environ, "no_proxy": "127.0.0.1,localhost"} | ({"KILN_HOME": str(self.home)} if self.home else {})
        # A flag that would be ignored is refused.
        asks_nobody = words[0] in {"drop", "generate"} or {"target", "package", "--offline"} & set(words)
        python_org = () if asks_nobody else ("--python-org", org)
        done = subprocess.run(
            [sys.executable, "-m", "invoke", *words, "--versions", str(self.file), *python_org], cwd=paths.ROOT, env=env,
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == expected, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        return done

    def refused(self, *words: str, org: str = NOBODY) -> str:
        """Run a command that fails, and return why; nothing may have changed."""
        before = self.content()
        done = self.run(*words, org=org, expected=1)
        assert self.content() == before
        return done.stderr[done.stderr.index("error: ") :].rstrip()

    def content(self) -> dict[str, bytes]:
        """Return every file of the family."""
        found = (path for path in self.file.parent.rglob("*") if path.is_file() and ".git" not in path.parts)
        return {path.relative_to(self.file.parent).as_posix(): path.read_bytes() for path in found}

    @property
    def catalog(self) -> catalog.Catalog:
        """Return the family as the file has it."""
        return catalog.load(self.file)


@pytest.fixture
def own(tmp_path: Path, site: Site) -> Iterator[Folder]:
    """Return a family of 3.13.5, whose python.org has 3.13.6 as well, and a store of its own."""
    site.releases(HELD, NEXT)
    return Folder(tmp_path / "family", tmp_path / "kiln")


def test_a_release_comes_with_all_that_is_known_of_it(own: Folder, site: Site) -> None:
    """Targets and flavours of the newest of its series; Dockerfiles follow, and what comes next is said."""
    before = own.content()
    shown = own.run("add", NEXT, "--dry-run", org=site.url)
    assert own.content() == before
    done = own.run("add", NEXT, org=site.url)
    assert done.stdout.splitlines()[:-1] == shown.stdout.splitlines()[:-1]
    first, second = own.catalog.releases
    assert (first.version, first.released, first.targets) == (NEXT, "2025-08-06", second.targets)
    assert first.artifacts[0].sha256 == source()["sha256_sum"]
    assert (own.file.parent / "dockerfiles/3.13/trixie/slim/Dockerfile").is_file()
    assert f"{NEXT}: file, sha256 and day from {site.url}" in done.stderr
    assert f"./run invoke build '{NEXT}*' --versions" in done.stdout.splitlines()[-1]
    assert own.refused("add", NEXT, org=site.url).startswith(f"error: {NEXT}: is a release of the family already")
    own.run("drop", NEXT)
    assert [one.version for one in own.catalog.releases] == [HELD]


def test_a_series_means_its_newest_release(own: Folder, site: Site) -> None:
    """Prereleases only where they are asked for."""
    site.releases(HELD, NEXT, "3.16.0a2")
    refused = own.refused("add", "3.16", org=site.url)
    assert refused == "error: 3.16: has prereleases alone (3.16.0a2); add --prerelease to take one"
    own.run("add", "3.13", org=site.url)
    assert own.catalog.releases[0].version == NEXT


def test_what_is_announced_waits(own: Folder, site: Site) -> None:
    """Neither `add` nor `update` takes in what nobody serves; told to, it is listed alone, and filled in later."""
    path = f"/ftp/python/{NEXT}/Python-{NEXT}.tar.xz"
    served = site.answers.pop(path)
    assert own.refused("add", NEXT, org=site.url).startswith(f"error: {NEXT}: announced, and no origin serves")
    assert (
        f"{NEXT} is announced, and its sources are not available yet"
        in own.run("update", "python", org=site.url).stdout
    )
    own.run("add", NEXT, "--announced", org=site.url)
    waiting = own.catalog.releases[0]
    assert (waiting.version, waiting.released, waiting.artifacts) == (NEXT, "2025-08-06", [])
    assert "no source is pinned" in own.run("generate").stderr
    site.answers[path] = served
    assert own.home
    (own.home / "sources" / "answers.json").unlink()
    own.run("update", "python", "--write", org=site.url)
    assert own.catalog.releases[0].artifacts[0].sha256 == source()["sha256_sum"]


def test_what_nobody_knows_is_one_line(own: Folder, site: Site) -> None:
    """With who was asked, and what to type."""
    assert own.refused("add", "3.13.99", org=site.url).startswith(
        f"error: 3.13.99: not listed by {site.url}; write `released`, and `file` and `sha256`"
    )
    assert "no origin answers" in own.refused("add", "3.13.99")
    assert own.refused("add", "forky", org=site.url).startswith(
        "error: 'forky': no version or series of Python; write one"
    )


def test_a_mirror_is_believed_where_nobody_else_answers(tmp_path: Path, site: Site) -> None:
    """That nobody else vouches for the digest is said; the day is that of the newest file in the tarball."""
    tarball = packed()
    site.answers[f"/python/{NEXT}/Python-{NEXT}.tar.xz"] = Reply(tarball, kind="application/x-xz")
    mirrored = Folder(tmp_path / "family", tmp_path / "kiln", sources={"debian": [], "mirrors": [f"{site.url}/python"]})
    done = mirrored.run("add", NEXT)
    assert mirrored.catalog.releases[0].released == "2031-05-04"
    assert "which nobody else vouches for, day of the newest file in the tarball" in done.stderr


def packed() -> bytes:
    """Return a tarball whose newest file is of a day."""
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w:xz") as tar:
        for name, age in (("old", 86400), ("new", 0)):
            member = tarfile.TarInfo(name)
            member.mtime = int(DAY.timestamp()) - age
            tar.addfile(member)
    return data.getvalue()


def test_a_release_from_debians_index(tmp_path: Path) -> None:
    """Where python.org does not answer: the digest is the signed index's, and the file has it."""
    file = next(one for one in apt.source_files(["trixie"], ["python3.13"]) if releases.upstream(one))
    version = releases.upstream(file)
    other = f.release("3.13.0")
    debian = Folder(tmp_path / "family", releases=[other], sources={"debian": ["trixie"], "mirrors": []})
    done = debian.run("add", version)
    found = next(one for one in debian.catalog.releases if one.version == version)
    assert found.artifacts[0].sha256 == file.sha256
    assert datetime.date.fromisoformat(found.released).year > 2024
    assert f"{version}: file and sha256 from Debian's signed index of sources (trixie)" in done.stderr


def test_a_target_has_the_names_of_its_own_archive(tmp_path: Path) -> None:
    """Trixie's libraries have other names than bookworm's, as the archive tells."""
    data = f.family()["targets"]
    data["bookworm"] = {
        **data.pop("trixie"), "release": "bookworm", "title": "Debian 12 (bookworm)",
        "packages": {"compile": ["gcc", "libssl-dev"], "full": [], "runtime": ["libssl3", "libreadline8", "zlib1g"]},
    }  # fmt: skip
    family = Folder(tmp_path / "family", targets=data, releases=[f.release(HELD, targets=["bookworm", "alpine3.24"])])
    done = family.run("add", "target", "trixie", "--like", "bookworm")
    found = family.catalog.targets["trixie"]
    assert found.packages.runtime == ["libssl3t64", "libreadline8t64", "zlib1g"]
    assert "trixie: packages.runtime: libssl3t64 in place of libssl3" in done.stderr
    assert family.catalog.releases[0].targets == ["bookworm", "trixie", "alpine3.24"]
    raw = json.loads(family.file.read_text())["targets"]["trixie"]
    assert (raw["like"], "compile" in raw["packages"]) == ("bookworm", False)
    assert "Debian's archive has no such suite" in family.refused("add", "target", "nosuchsuite", "--like", "bookworm")


def test_a_package_is_scaffolded_from_what_is_installed(tmp_path: Path) -> None:
    """Its server was found by trying it; locks, Dockerfiles and texts are there, and the folder goes again."""
    family = Folder(tmp_path / "family", releases=[f.release(HELD, targets=["trixie"])])
    done = family.run("add", "package", "waitress")
    package = family.catalog.packages["waitress"]
    assert (package.test.kind, package.port, package.test.imports, package.pythons) == (
        "http",
        80,
        ["waitress"],
        ["3.13"],
    )
    assert len(package.versions) == package.keep == 3
    folder = family.file.parent / "packages/waitress"
    assert "exec waitress-serve --host" in (folder / "start").read_text()
    assert (folder / "start").stat().st_mode & 0o111 == 0o111
    assert "WSGI" in (folder / "documentation.md").read_text()
    assert len(list((folder / "locks").rglob("py3.13.txt"))) == 3
    assert "serves WSGI" in done.stderr
    again = family.refused("add", "package", "waitress")
    assert again.startswith("error: waitress: is a package of the family already")


def test_a_package_with_changes_is_not_lost(tmp_path: Path) -> None:
    """A folder that git could not bring back stays, unless it is given up."""
    family = Folder(tmp_path / "family", packages={"uvicorn": {**UVICORN, "keep": 2, "versions": []}})
    start = family.file.parent / "packages/uvicorn/start"
    paths.write_whole(start, "#!/bin/sh\n")
    assert "no git keeps it, and it would be lost; commit it first" in family.refused("drop", "package", "uvicorn")
    git(family, "init", "-q")
    assert "has changes that would be lost" in family.refused("drop", "package", "uvicorn")
    git(family, "add", "--all")
    git(family, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-qm", "a")
    done = family.run("drop", "package", "uvicorn")
    assert "packages/uvicorn: 1 removed" in done.stdout
    assert not start.parent.parent.exists()
    assert not family.catalog.packages


def git(family: Folder, *words: str) -> None:
    subprocess.run(["git", "-C", family.file.parent, *words], check=True, capture_output=True)


def test_an_import_looks_up_what_is_not_told(tmp_path: Path, site: Site) -> None:
    """Day and digest come from python.org; what it does not have is left, with what to type."""
    site.answers[LISTING] = Reply(json.dumps([release(NEXT)]).encode(), kind="application/json")
    site.answers[FILES] = Reply(json.dumps([source()]).encode(), kind="application/json")
    site.releases(NEXT)
    lender, checkout = Folder(tmp_path / "lender", tmp_path / "kiln"), tmp_path / "theirs"
    for series, version in (("3.13", NEXT), ("3.12", "3.12.1")):
        paths.write_whole(checkout / f"versions/{series}.env", f"PYTHON_RELEASE={version}\n")
    paths.write_whole(checkout / "targets/trixie/pybuilder.env", "PREFIX=/usr/local\n")
    out = tmp_path / "out/versions.json"
    done = lender.run("import.infra7", str(checkout), "--out", str(out), org=site.url)
    known, unknown = catalog.load(out).releases
    assert (known.released, known.artifacts[0].sha256) == ("2025-08-06", source()["sha256_sum"])
    assert (unknown.released, unknown.artifacts) == ("", [])
    assert '3.12.1: its day is not known; add "released": "YYYY-MM-DD"' in done.stderr
    offline = lender.run("import.infra7", str(checkout), "--offline", org=site.url)
    assert "3.13.6, 3.12.1: its day is not known" in offline.stderr


def test_announced_releases_break_no_plan(tmp_path: Path, site: Site) -> None:
    """The mirror answers that it does not have the file: the rest is planned, and naming the release is an error."""
    mirrors = {"debian": [], "mirrors": [f"{site.url}/python"]}
    data = [f.release(NEXT, targets=["trixie"]), f.release(HELD, targets=["trixie"])]
    site.answers[f"/python/{HELD}/Python-{HELD}.tar.xz"] = Reply(b"x", kind="application/x-xz")
    own = Folder(tmp_path / "family", tmp_path / "kiln", releases=data, sources=mirrors)
    rows = {row["version"]: row for row in json.loads(plan(own, "matrix", "--json").stdout)}
    assert (rows[NEXT]["state"], rows[NEXT]["sources"], rows[HELD]["state"]) == ("announced", None, "available")
    assert " announced " in plan(own, "matrix").stdout
    done = plan(own, "build", "--all", "--dry-run", "--json")
    assert f"passed over: {NEXT}: announced, and no origin serves the sources yet" in done.stderr
    assert f"{HELD}-slim-trixie" in done.stdout
    named = plan(own, "build", f"{NEXT}-slim-trixie", "--dry-run", expected=1)
    assert f"error: {NEXT}-slim-trixie: {NEXT} is announced, and no origin serves the sources yet" in named.stderr
    assert f"error: {NEXT}: announced" in plan(own, "build", f"{NEXT}*", "--dry-run", expected=1).stderr


def plan(own: Folder, *words: str, expected: int = 0) -> subprocess.CompletedProcess[str]:
    """Run a command that asks nobody but the mirror."""
    env = {**os.environ, "KILN_HOME": str(own.home), "no_proxy": "127.0.0.1,localhost", "COLUMNS": "200"}
    done = subprocess.run(
        [sys.executable, "-m", "invoke", *words, "--versions", str(own.file)], cwd=paths.ROOT, env=env,
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == expected, done.stdout + done.stderr
    return done
