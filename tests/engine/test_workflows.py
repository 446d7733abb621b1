"""The workflows and their scripts, played in a clone with a bare repository as origin; `gh` alone is GitHub's."""

import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from kiln import catalog, paths
from tests.clone import copy
from tests.engine.test_update import Site, site
from tests.unit import family as f

__all__ = ["site"]  # a fixture, which pytest finds by its name here
ROOT = paths.ROOT
PYTHON = Path(sys.executable).parent
WORKFLOWS = ROOT / ".github/workflows"


class Clone:
    """A clone of this checkout with a small family of its own, and the bare repository that it comes from."""

    def __init__(self, folder: Path) -> None:
        """Name the places; `make` or a copy of the whole folder fills them."""
        self.folder, self.origin, self.temp = folder / "clone", folder / "origin.git", folder / "temp"
        self.output, self.home = self.temp / "output", folder / "kiln"

    def make(self) -> None:
        """Copy what git has of the checkout as it is now, commit it, and push it."""
        self.temp.mkdir()
        copy(self.folder, without=("packages/", "dockerfiles/"))
        # The environment is the one that runs this test; making another is not what is tried here.
        (self.folder / "run").write_text('#!/bin/sh\nexec "$@"\n', "utf-8")
        # No archive is looked into, which takes a minute at first.
        f.write(self.folder / "versions.json", f.family(sources={"debian": [], "mirrors": []}))
        (self.folder / "versions.json").write_text(catalog.dumps(catalog.load(self.folder / "versions.json")), "utf-8")
        (self.folder / "results.json").unlink(missing_ok=True)
        self.run("invoke", "generate")
        self.run("invoke", "readme")
        self.git("init", "--quiet", "--bare", str(self.origin), cwd=self.temp)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("remote", "add", "origin", "../origin.git")
        self.git("add", "--all")
        self.commit("Begin")
        self.git("push", "--quiet", "origin", "main")

    def commit(self, subject: str) -> None:
        """Commit what is staged."""
        self.git("-c", "user.name=x", "-c", "user.email=x@example.org", "commit", "--quiet", "--message", subject)

    def git(self, *words: str, cwd: Path | None = None) -> str:
        """Run git in the clone, or elsewhere."""
        done = subprocess.run(["git", *words], cwd=cwd or self.folder, capture_output=True, text=True, check=True)
        return done.stdout

    def run(self, *words: str, expected: int = 0, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run a command in the clone, in the environment that a workflow gives."""
        env = {name: value for name, value in os.environ.items() if not name.startswith(("PIP_", "UV_", "GITHUB_"))}
        env |= {
            "PATH": f"{PYTHON}:{env['PATH']}", "KILN_HOME": str(self.home), "RUNNER_TEMP": str(self.temp),
            "GITHUB_OUTPUT": str(self.output), "PYTHONPATH": str(self.folder), "no_proxy": "127.0.0.1,localhost",
            "DOCKER_HOST": "unix:///nowhere", **changes,
        }  # fmt: skip
        done = subprocess.run(
            [*words], cwd=self.folder, env=env, capture_output=True, text=True, check=False, timeout=600
        )
        assert done.returncode == expected, done.stdout + done.stderr
        return done

    def outputs(self) -> dict[str, str]:
        """Return what a step's script handed on."""
        lines = self.output.read_text("utf-8").splitlines() if self.output.exists() else []
        return dict(line.split("=", 1) for line in lines)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a clone once, for every test to copy."""
    folder = tmp_path_factory.mktemp("made") / "all"
    folder.mkdir()
    Clone(folder).make()
    return folder


@pytest.fixture
def clone(made: Path, tmp_path: Path) -> Clone:
    shutil.copytree(made, tmp_path / "all", symlinks=True)
    return Clone(tmp_path / "all")


def step(workflow: str, name: str) -> str:
    """Return the script of a workflow's step."""
    text = (WORKFLOWS / workflow).read_text("utf-8")
    _, _, rest = text.partition(f"- name: {name}\n")
    found = re.match(r" +run: \|\n((?:(?: {10}.*)?\n)+)", rest)
    assert found, f"{workflow}: no script in {name!r}"
    return textwrap.dedent(found[1])


def test_a_new_release_is_proposed_on_a_branch(clone: Clone, site: Site) -> None:
    """From the look at python.org to the branch that is pushed: everything generated is on it, and nothing else."""
    site.releases("3.13.5", "3.13.6")
    looked = clone.run(".github/propose-update", "--python-org", site.url)
    found = clone.outputs()
    assert re.fullmatch(r"update/[0-9a-f]{40}", found["branch"]), looked.stderr
    # Each has another Dockerfile.
    assert found["ids"].split() == ["3.13.6-trixie", "3.13.6-slim-trixie", "3.13.6-alpine3.24"]
    patch = clone.folder / "update.patch"
    assert "3.13.6" in patch.read_text("utf-8")

    # The next job begins with a fresh checkout, and has the patch alone.
    shutil.copy(patch, clone.temp / "update.patch")
    evil = 'diff --git a/run b/run\n--- a/run\n+++ b/run\n@@ -1,2 +1,3 @@\n #!/bin/sh\n+echo evil\n exec "$@"\n'
    with (clone.temp / "update.patch").open("a", encoding="utf-8") as file:
        file.write(evil)
    clone.git("reset", "--quiet", "--hard")
    clone.git("clean", "--quiet", "-d", "--force")
    script = step("update.yml", "Push it")
    # `gh auth setup-git` is GitHub's; the bare repository wants no credentials.
    clone.run("bash", "-euo", "pipefail", "-c", f"gh() {{ :; }}\n{script}", BRANCH=found["branch"])
    clone.git("fetch", "--quiet", "origin")
    changed = clone.git("diff", "--name-only", "origin/main", f"origin/{found['branch']}").splitlines()
    assert "versions.json" in changed
    assert "run" not in changed
    assert any(name.startswith("dockerfiles/3.13/") for name in changed)
    assert clone.git("log", "-1", "--format=%s", f"origin/{found['branch']}") == "Take in new releases\n"
    held = json.loads(clone.git("show", f"origin/{found['branch']}:versions.json"))
    assert [one["version"] for one in held["releases"]] == ["3.13.6"]
    # What is on the branch needs no further step.
    clone.git("checkout", "--quiet", f"origin/{found['branch']}")
    clone.run("invoke", "generate", "--check")
    clone.run("invoke", "readme", "--check")

    # Half an hour later the same is proposed already.
    clone.git("checkout", "--quiet", "-B", "main", "origin/main")
    clone.output.unlink()
    again = clone.run(".github/propose-update", "--python-org", site.url)
    assert f"{found['branch']}: proposed already" in again.stdout
    assert clone.outputs() == {}


def test_nothing_new_is_proposed_nowhere(clone: Clone, site: Site) -> None:
    """No patch and no branch."""
    site.releases("3.13.5")
    clone.run(".github/propose-update", "--python-org", site.url)
    assert clone.outputs() == {}
    assert not (clone.folder / "update.patch").exists()
    assert clone.git("status", "--porcelain") == ""


def test_an_update_that_fails_proposes_nothing(clone: Clone, site: Site) -> None:
    """The job fails as the command does."""
    clone.run(".github/propose-update", "--python-org", site.url, expected=1)
    assert clone.outputs() == {}


def test_shards_keep_what_shares_a_compile_together(clone: Clone) -> None:
    """A job for each release and target; too many are refused."""
    data = json.loads(clone.run(".github/release-shards", "*").stdout)
    assert [one["name"] for one in data["include"]] == ["3.13.5-alpine3.24", "3.13.5-trixie"]
    assert data["include"][1]["ids"].split() == ["3.13.5-trixie", "3.13.5-slim-trixie"]


def test_what_was_never_built_is_to_be_built_where_it_can_be(clone: Clone) -> None:
    """Without a record, nothing is judged, and no engine is needed."""
    assert clone.run(".github/stale-ids").stdout == "\n"


def test_records_are_restored_from_the_newest_artifact_of_this_repository(clone: Clone, tmp_path: Path) -> None:
    """`gh` is GitHub's: here it answers from files, and the script's own choice among artifacts is real."""
    shutil.make_archive(str(tmp_path / "ours"), "zip", _records(tmp_path / "ours", "ours"))
    shutil.make_archive(str(tmp_path / "old"), "zip", _records(tmp_path / "old", "old"))
    mine = {"head_repository_id": 1, "repository_id": 1}
    artifacts = [
        {"id": "old", "expired": False, "created_at": "2026-01-01", "workflow_run": mine},
        {"id": "ours", "expired": False, "created_at": "2026-02-01", "workflow_run": mine},
        {"id": "fork", "expired": False, "created_at": "2026-03-01", "workflow_run": mine | {"head_repository_id": 2}},
        {"id": "gone", "expired": True, "created_at": "2026-04-01", "workflow_run": mine},
    ]
    (tmp_path / "answer.json").write_text(json.dumps({"artifacts": artifacts}), "utf-8")
    gh = tmp_path / "bin/gh"
    gh.parent.mkdir()
    gh.write_text(
        "#!/bin/sh\n"
        'case $2 in */zip) name=${2%/zip}; exec cat "$ANSWERS/${name##*/}.zip" ;; esac\n'
        'exec jq --raw-output "$4" "$ANSWERS/answer.json"\n'
    )
    gh.chmod(0o755)
    path = f"{gh.parent}:{PYTHON}:{os.environ['PATH']}"
    clone.run(".github/restore-records", "3.13.5-trixie", PATH=path, ANSWERS=str(tmp_path), GITHUB_REPOSITORY="me/x")
    assert (clone.home / "records/one.json").read_text("utf-8") == "ours"


@pytest.mark.parametrize("before", [None, "", '{"debug": true, "features": {"x": true}}'])
def test_the_image_store_is_turned_on_beside_other_settings(clone: Clone, tmp_path: Path, before: str | None) -> None:
    """The engine of CI's machine is GitHub's: what restarts and asks it stands aside, the settings are real."""
    settings = tmp_path / "docker/daemon.json"
    if before is not None:
        settings.parent.mkdir()
        settings.write_text(before, "utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    answer = 'echo "[[\\"driver-type\\",\\"io.containerd.snapshotter.v1\\"]]"'
    for name, text in (("sudo", 'exec "$@"'), ("systemctl", "exit 0"), ("docker", answer)):
        (programs / name).write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        (programs / name).chmod(0o755)
    path = f"{programs}:{PYTHON}:{os.environ['PATH']}"
    clone.run(".github/containerd-store", str(settings), PATH=path)
    found = json.loads(settings.read_text("utf-8"))
    assert found.pop("features") == {**({"x": True} if before else {}), "containerd-snapshotter": True}
    assert found == ({"debug": True} if before else {})
    (programs / "docker").write_text("#!/bin/sh\necho overlay2\n", "utf-8")
    done = clone.run(".github/containerd-store", str(settings), PATH=path, expected=1)
    assert done.stderr.startswith("error: the engine's image store is not containerd's after the restart")


def _records(folder: Path, text: str) -> str:
    (folder / "records").mkdir(parents=True)
    (folder / "records/one.json").write_text(text, "utf-8")
    return str(folder)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("workflows/update.yml", "permissions: {}\n", "permissions: {}\n\nenv:\n  X: ${{ runner.temp }}\n"),
        ("workflows/ci.yml", "    timeout-minutes: 90\n", "    timeout-minutes: 90\n    env:\n      X: ${{ runner.temp }}\n"),
        ("workflows/stale.yml", "steps.judge.outputs.ids", "steps.jugde.outputs.ids"),
        ("workflows/images.yml", "          shard:", "          shards:"),
        ("actions/build/action.yml", "${{ inputs.shard }}", "${{ inputs.shrad }}"),
        ("actions/build/action.yml", "${{ runner.temp }}/kiln\n", "${{ secrets.X }}/kiln\n"),
        ("actions/build/action.yml", '"${ids[@]}"', "${ids[@]}"),
        ("propose-update", 'origin "$branch"', "origin $branch"),
    ],
)  # fmt: skip
def test_lint_finds_what_github_would_refuse(clone: Clone, file: str, old: str, new: str) -> None:
    """A context that is not available there, a name that does not exist, a word that a shell would split."""
    path = clone.folder / ".github" / file
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")
    found = _lint(clone)
    assert any(found.values()), found
    path.write_text(text, "utf-8")
    assert not any(_lint(clone).values())


def _lint(clone: Clone) -> dict[str, int]:
    """Return how the checks of `nox -s lint` for workflows, actions and scripts end."""
    scripts = [f".github/{name}" for name in ("propose-update", "release-shards", "restore-records", "stale-ids")]
    commands = {
        "actionlint": ["actionlint"],
        "actions": [sys.executable, ".github/lint_actions.py"],
        "shellcheck": ["shellcheck", *scripts],
    }
    env = {**os.environ, "PATH": f"{PYTHON}:{os.environ['PATH']}"}
    return {
        name: subprocess.run(command, cwd=clone.folder, env=env, capture_output=True, check=False).returncode
        for name, command in commands.items()
    }
