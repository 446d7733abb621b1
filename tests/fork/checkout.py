"""A clone of this checkout, with all that is not committed yet, and the commands that are run in it."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import msgspec

from kiln import catalog
from tests.clone import Clone

# hadolint takes a fifth of a second for each, and judges no version and no digest.
_NUMBERS = re.compile(r"[0-9a-f]*[0-9][0-9a-f.]*")


class CommandFailed(Exception):  # noqa: N818 - what happened
    """A command in a clone failed; the text is what it printed."""


class Checkout(Clone):
    """A clone, to be edited as people edit theirs."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "clone")
        self.home = folder / "home"
        """Its own KILN_HOME: what this machine built and tested is none of its business."""
        self.versions = self.folder / "versions.json"
        # The same environment, by the name that `run` and the noxfile know.
        (self.folder / ".venv").symlink_to(sys.prefix)
        self._linted = set(self._dockerfiles())

    def read(self) -> dict:
        """Return the family as JSON, with each target complete in itself."""
        family = msgspec.to_builtins(catalog.load(self.versions))
        for target in family["targets"].values():
            target.pop("like", None)
        return family

    def write(self, family: dict) -> None:
        """Write the family, as somebody's editor would."""
        self.versions.write_text(json.dumps(family, indent=4, ensure_ascii=False), encoding="utf-8")

    def lint(self) -> None:
        """Run the session `lint` over the code and each kind of Dockerfile that this checkout does not have."""
        found = self._dockerfiles()
        fresh = {form: path for form, path in found.items() if form not in self._linted} or dict([found.popitem()])
        self.nox("lint", "--", *(str(path.relative_to(self.folder)) for path in fresh.values()))

    def nox(self, *words: str) -> None:
        """Run a session of the clone's own noxfile."""
        self.run("nox", "--non-interactive", "-s", *words)

    def run(self, module: str, *words: str) -> None:
        """Run a Python program in the clone; raises CommandFailed with what it printed."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "NOX_"))}
        done = subprocess.run(
            [sys.executable, "-m", module, *words], cwd=self.folder, env={**kept, "KILN_HOME": str(self.home)},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            check=False,
        )  # fmt: skip
        if done.returncode:
            raise CommandFailed(f"$ {module} {' '.join(words)}\n{done.stdout}")

    def _dockerfiles(self) -> dict[str, Path]:
        """Return a Dockerfile of each kind, by its text without numbers."""
        paths = sorted((self.folder / "dockerfiles").rglob("Dockerfile"))
        return {_NUMBERS.sub("0", path.read_text("utf-8")): path for path in paths}
