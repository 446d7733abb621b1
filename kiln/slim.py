"""What makes a Debian system a slim container base: the settings of Debian's own images.

Those are made by debuerreotype: https://github.com/debuerreotype/debuerreotype
"""

from collections.abc import Iterable
from fnmatch import fnmatchcase

_EXCLUDED = "doc groff info linda lintian/overrides locale man"
_INCLUDED = (
    "doc/*/copyright doc/kde/HTML/C/* gnome/help/*/C/* locale/all_languages locale/currency/* locale/l10n/* "
    "locale/languages locale/locale.alias omf/*/*-C.emf"
)
DPKG_FILTERS = (
    *(f"path-exclude=/usr/share/{name}/*" for name in _EXCLUDED.split()),
    *(f"path-include=/usr/share/{name}" for name in _INCLUDED.split()),
)
KEYRINGS = ("usr/share/keyrings/debian-archive-keyring.pgp", "usr/share/keyrings/debian-archive-keyring.gpg")
_ARCHIVES = "/var/cache/apt/archives"
_CLEAN = f'"rm -f {_ARCHIVES}/*.deb {_ARCHIVES}/partial/*.deb /var/cache/apt/*.bin || true";'
_FILES = {
    "etc/apt/apt.conf.d/docker-autoremove-suggests": """\
# A package that another one merely suggests goes away with `apt-get purge --auto-remove`.
Apt::AutoRemove::SuggestsImportant "false";
""",
    "etc/apt/apt.conf.d/docker-clean": f"""\
# Archives and caches would only make the layer of an `apt-get install` bigger.
DPkg::Post-Invoke {{ {_CLEAN} }};
APT::Update::Post-Invoke {{ {_CLEAN} }};

Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
""",
    "etc/apt/apt.conf.d/docker-gzip-indexes": """\
# Package lists that a layer keeps are kept compressed.
Acquire::GzipIndexes "true";
""",
    "etc/apt/apt.conf.d/docker-no-languages": """\
# Translated descriptions are neither downloaded nor kept.
Acquire::Languages "none";
""",
    "etc/dpkg/dpkg.cfg.d/docker": "\n".join(
        (
            "# This is a slim base: what a container hardly needs is left out when packages are unpacked.",
            *(line.replace("=", " ", 1) for line in DPKG_FILTERS),
            "",
        )
    ),
    "etc/dpkg/dpkg.cfg.d/docker-apt-speedup": """\
# A layer that a power loss interrupts is built again, so nothing needs to be synced.
force-unsafe-io
""",
    "usr/sbin/policy-rc.d": """\
#!/bin/sh
# No service starts while packages are installed in a `docker build`.
exit 101
""",
}


def files(sources: str, names: Iterable[str]) -> dict[str, str]:
    """Return the content of the files that a base has beside its packages; scripts begin with `#!`.

    `sources` are the archives that it fetches packages from, as one-line entries; `names` are the
    paths of the files it has.
    """
    keyring = next((name for name in KEYRINGS if name in names), KEYRINGS[-1])
    return {**_FILES, "etc/apt/sources.list.d/debian.sources": deb822(sources, keyring)}


def unwanted(name: str) -> bool:
    """Tell whether dpkg's filters would leave out a file; some are made by packages' scripts instead."""
    included = any(fnmatchcase(name, f"usr/share/{pattern}") for pattern in _INCLUDED.split())
    return not included and any(name.startswith(f"usr/share/{folder}/") for folder in _EXCLUDED.split())


def deb822(sources: str, keyring: str) -> str:
    """Return one-line apt sources as a `.sources` file, the suites of one URI in one stanza."""
    suites: dict[tuple[str, str], list[str]] = {}
    for line in sources.splitlines():
        words = line.partition("]")[2].split() if "[" in line else line.split()[1:]
        if line.startswith("deb ") and len(words) > 2:
            suites.setdefault((words[0], " ".join(words[2:])), []).append(words[1])
    return "\n".join(
        f"Types: deb\nURIs: {uri}\nSuites: {' '.join(names)}\nComponents: {components}\nSigned-By: /{keyring}\n"
        for (uri, components), names in suites.items()
    )
