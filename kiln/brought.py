"""What a package of the index brings: installed into a folder of its own, and read from there."""

import configparser
import os
import subprocess
import sys
from importlib.metadata import Distribution, distributions
from pathlib import Path

from msgspec import Struct
from packaging.utils import canonicalize_name

from kiln import lock, network
from kiln.errors import UpdateError


class Brought(Struct, frozen=True, kw_only=True):
    """An installed project."""

    folder: Path
    """Holds it, and all that it needs."""
    project: str
    title: str
    """Its name as it writes it: `Hypercorn`."""
    version: str
    summary: str
    words: str
    """What it says of itself, in lower case, to look for words in."""
    scripts: tuple[str, ...]
    """Its own console scripts, the one of its own name first; they are in `folder/bin`."""
    modules: tuple[str, ...]
    """Its own modules to import, the one of its own name first."""


def install(requirement: str, version: str, folder: Path) -> Brought:
    """Install a project from the user's own index into a folder, and return what came.

    Nothing of it is run, but the build of a source archive where there is no wheel.
    Raises UpdateError with uv's reason in one line.
    """
    environment = {**os.environ, **lock.settings(network.pip_list(), os.environ)}
    done = subprocess.run(
        [
            sys.executable, "-m", "uv", "pip", "install", "--quiet", "--color=never", "--target", str(folder),
            "--python", sys.executable, f"{requirement}=={version}",
        ],
        env=environment, capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    if done.returncode:
        why = lock.reason(done.stderr) or "uv failed and did not say why"
        raise UpdateError(f"{requirement} {version}: cannot be installed here to look at it: {why}")
    return read(requirement, folder)


def read(requirement: str, folder: Path) -> Brought:
    """Return what an installed project brings."""
    project = str(canonicalize_name(requirement.partition("[")[0]))
    found = next(one for one in distributions(path=[str(folder)]) if canonicalize_name(one.name) == project)
    about = found.metadata.json
    texts = [str(about.get(name, "")) for name in ("summary", "keywords", "classifier", "description")]
    return Brought(
        folder=folder, project=project, title=found.name, version=found.version, summary=str(about.get("summary", "")),
        words=" ".join(texts).lower(),
        scripts=tuple(_first(scripts(found.read_text("entry_points.txt") or ""), project)),
        modules=tuple(_first(_modules(found), project.replace("-", "_"))),
    )  # fmt: skip


def scripts(text: str) -> list[str]:
    """Return the console scripts of an `entry_points.txt`."""
    parser = configparser.ConfigParser(delimiters=("=",), interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[method-assign, assignment] # the names as they are
    parser.read_string(text)
    return list(parser["console_scripts"]) if parser.has_section("console_scripts") else []


def _modules(found: Distribution) -> list[str]:
    """Return the modules that a project has at the top, but for those that are not meant to be imported."""
    tops = {Path(file).parts[0] for file in found.files or [] if file.suffix in {".py", ".so"}}
    names = {name.partition(".")[0] for name in tops if not name.startswith((".", "_", "bin"))}
    return sorted(name for name in names if name.isidentifier())


def _first(names: list[str], wanted: str) -> list[str]:
    return sorted(names, key=lambda name: (name != wanted, wanted not in name))
