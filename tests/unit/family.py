"""A small family for tests, to be changed a value at a time."""

import copy
import hashlib
import json

FAMILY = {
    "exclusions": [],
    "labels": {"org.opencontainers.image.vendor": "Kiln"},
    "registry": "",
    "releases": [
        {
            "artifacts": [{"file": "Python-3.13.5.tar.xz", "sha256": "a" * 64}],
            "flavours": ["default"],
            "released": "2025-06-11",
            "targets": ["trixie", "alpine3.24"],
            "version": "3.13.5",
        }
    ],
    "repository": "kiln/python",
    "sources": {"debian": ["trixie"], "mirrors": []},
    "targets": {
        "alpine3.24": {
            "base": {"image": "alpine:3.24", "platforms": ["linux/amd64"]},
            "default_variant": "slim",
            "distribution": "alpine",
            "packages": {"compile": ["gcc"], "full": [], "runtime": ["zlib"]},
            "platforms": ["linux/amd64"],
            "release": "3.24",
            "title": "Alpine 3.24",
            "variants": {"slim": {}},
        },
        "trixie": {
            "base": {"image": "debian:trixie-slim", "platforms": ["linux/amd64", "linux/arm64"]},
            "default_variant": "full",
            "distribution": "debian",
            "packages": {"compile": ["gcc"], "full": ["gcc"], "runtime": ["zlib1g"]},
            "platforms": ["linux/amd64", "linux/arm64"],
            "release": "trixie",
            "title": "Debian 13 (trixie)",
            "variants": {"full": {"max_mb": 300}, "slim": {"max_mb": 60}},
        },
    },
    "variants": {"full": {"description": "everything"}, "slim": {"description": "little"}},
}


def family(**changes):
    """Return the family with some top-level values replaced."""
    return {**copy.deepcopy(FAMILY), **changes}


def release(version, **changes):
    """Return a release of the family with another version."""
    artifacts = [{"file": f"Python-{version}.tar.xz", "sha256": hashlib.sha256(version.encode()).hexdigest()}]
    return {**copy.deepcopy(FAMILY["releases"][0]), "version": version, "artifacts": artifacts, **changes}


def write(path, data):
    """Write a family as `invoke` reads it, and return the path."""
    path.write_text(data if isinstance(data, str) else json.dumps(data, indent=2, sort_keys=True) + "\n")
    return path


def load(tmp_path, data):
    """Return the catalog of a family."""
    from kiln import catalog

    return catalog.load(write(tmp_path / "versions.json", data))


def expand(tmp_path, data):
    """Return the matrix of a family."""
    from kiln import matrix

    return matrix.expand(load(tmp_path, data), tmp_path / "versions.json")


WINDOWS = {
    "base": {"image": "example.org/windows/servercore:ltsc2025", "platforms": ["windows/amd64"]},
    "default_variant": "full", "distribution": "windows", "packages": {"compile": [], "full": [], "runtime": []},
    "platforms": ["windows/amd64"], "release": "ltsc2025", "title": "Windows Server Core 2025", "variants": {"full": {}},
}  # fmt: skip
INSTALLER = {"file": "python-3.13.5-amd64.exe", "sha256": "b" * 64}
WINDOWS_NAMES = ("windowsservercore-ltsc2025", "windowsservercore-ltsc2022")


def windows(**changes):
    """Return the family with two kinds of Windows, which have the installer of 3.13.5."""
    mine = release("3.13.5", targets=["trixie", *WINDOWS_NAMES], windows=INSTALLER, **changes)
    data = family(releases=[mine])
    older = WINDOWS | {"base": WINDOWS["base"] | {"image": "example.org/windows/servercore:ltsc2022"}}
    data["targets"] |= {WINDOWS_NAMES[0]: WINDOWS, WINDOWS_NAMES[1]: older}
    return data
