"""What somebody wants a fork to be called: its repository, and the labels that name it."""

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from msgspec import Struct

from kiln import checks, process
from kiln.errors import CommandError, ForkError
from kiln.matrix import Matrix

_LABEL = "org.opencontainers.image."
SOURCE = f"{_LABEL}source"
"""The label with the URL of the repository that the images are built from."""
_DOCKER_HUB = {"docker.io", "index.docker.io", "registry-1.docker.io"}
_EXAMPLE = "name a registry and a repository, such as ghcr.io/me/python, or me/python on Docker Hub"


class Wish(Struct, frozen=True, kw_only=True):
    """What somebody says of the fork, empty where nothing is said."""

    registry: str
    repository: str
    source: str = ""
    """The URL of the repository that the images are built from."""
    vendor: str = ""
    authors: str = ""

    @property
    def name(self) -> str:
        """Return the repository with its registry."""
        return f"{self.registry}/{self.repository}" if self.registry else self.repository


def wish(reference: str, **said: str) -> Wish:
    """Return what somebody wants, from a reference as Docker reads it. Raises ForkError if it is none."""
    host, slash, rest = reference.partition("/")
    named = bool(slash) and (host == "localhost" or "." in host or ":" in host)
    registry, repository = (host, rest) if named else ("", reference)
    registry = "" if registry in _DOCKER_HUB else registry
    for kind, value in (("registry", registry), ("repository", repository)):
        if any(checks.form("", kind, value)):
            raise ForkError(f"{reference!r}: is no repository of images; {_EXAMPLE}, without a tag")
    if not registry and "/" not in repository:
        raise ForkError(f"{reference!r}: only Docker itself has such names on Docker Hub; {_EXAMPLE}")
    return Wish(registry=registry, repository=repository, **said)


def labels(old: Matrix, wanted: Wish, origin: str) -> dict[str, str]:
    """Return the labels of a fork: those that would say something false of it are replaced, or gone.

    `origin` is the URL of git's remote. A family that keeps its repository keeps its labels.
    """
    if wanted.name == old.repository:
        return _said(old.catalog.labels, wanted, wanted.source)
    known, before = dict(old.catalog.labels), old.catalog.labels.get(SOURCE, "")
    known.pop(f"{_LABEL}authors", None)
    known.pop(f"{_LABEL}vendor", None)
    source = wanted.source or ("" if address(origin) == address(before) else address(origin))
    for name, value in old.catalog.labels.items():
        if before and value.startswith(before):
            known[name] = source + value.removeprefix(before)
            if not source:
                del known[name]
    if known.get(f"{_LABEL}title") == old.catalog.repository.rpartition("/")[2]:
        known[f"{_LABEL}title"] = wanted.repository.rpartition("/")[2]
    namespace = wanted.repository.rpartition("/")[0] or wanted.registry
    return _said({f"{_LABEL}vendor": namespace, **known}, wanted, source)


def _said(known: Mapping[str, str], wanted: Wish, source: str) -> dict[str, str]:
    """Return labels with what somebody says in its place."""
    said = {"source": source, "vendor": wanted.vendor, "authors": wanted.authors}
    return {**known, **{f"{_LABEL}{name}": value for name, value in said.items() if value}}


def origin(folder: Path) -> str:
    """Return the URL of git's remote `origin`, empty if there is none."""
    try:
        return process.run(["git", "-C", folder, "remote", "get-url", "origin"]).strip()
    except CommandError:
        return ""


def address(remote: str) -> str:
    """Return the URL at which people find a remote of git, empty for one on this machine."""
    if found := re.fullmatch(r"(?:[\w.-]+@)?([\w-]+(?:\.[\w-]+)+):(?!//)/?(.+)", remote):
        remote = f"https://{found[1]}/{found[2]}"
    try:
        url, port = urlsplit(remote), urlsplit(remote).port
    except ValueError:
        return ""
    if url.scheme not in {"http", "https", "ssh", "git"} or not url.hostname:
        return ""
    place = f"{url.hostname}:{port}" if port and url.scheme in {"http", "https"} else url.hostname
    scheme = "http" if url.scheme == "http" else "https"
    return f"{scheme}://{place}{url.path.rstrip('/').removesuffix('.git')}"
