"""What the user's own Python index offers of a project; credentials stay where they are configured."""

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from msgspec import Struct
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from kiln import reach, web
from kiln.errors import UpdateError

if TYPE_CHECKING:
    import requests
    from pypi_simple import DistributionPackage, ProjectPage

JSON = "application/vnd.pypi.simple.v1+json"
HTML = ("application/vnd.pypi.simple.v1+html", "text/html")
HOSTILE = re.compile(r"[^A-Za-z0-9 ._+!~@%=,()-]")
"""What no name of a file has, not even an old one's."""
ACCEPT = f"{JSON}, {HTML[0]};q=0.2, {HTML[1]};q=0.1"


class Offered(Struct, frozen=True, kw_only=True):
    """One version of a project that has files to install."""

    version: str
    """As PEP 440 normalises it."""
    requires: tuple[str, ...] = ("",)
    """What the files say of Python, each set of specifiers once: `>=3.10`; empty for any Python."""
    yanked: bool = False
    """Whether each of its files is."""

    def runs_on(self, python: str) -> bool:
        """Tell whether one of the files is for a version of Python."""
        return any(_admits(requires, python) for requires in self.requires)


class Index(Struct, frozen=True, kw_only=True):
    """The indexes that are asked, and how they are reached."""

    urls: tuple[str, ...]
    """At least one; may hold credentials."""
    proxy: str = ""
    trusted: tuple[str, ...] = ()
    """Hosts (`example.org`, `example.org:8443`) whose certificates are not looked at."""


def configured(settings: Mapping[str, str]) -> Index:
    """Return the indexes of pip's settings, as `network.pip_list` gives them."""
    from pypi_simple import PYPI_SIMPLE_ENDPOINT

    first = settings.get("index-url", PYPI_SIMPLE_ENDPOINT).split()
    return Index(
        urls=tuple(dict.fromkeys([*first, *settings.get("extra-index-url", "").split()])),
        proxy=settings.get("proxy", ""), trusted=tuple(settings.get("trusted-host", "").split()),
    )  # fmt: skip


def offered(index: Index, project: str) -> tuple[Offered, ...]:
    """Return the versions of a project that all indexes together have; asks each of them.

    Raises `UpdateError` if none has it, or one does not answer as an index does.
    """
    files: list[DistributionPackage] = []
    for url in index.urls:
        client, folder = _session(index, url)
        with client:
            try:
                answer = web.get(client, f"{folder.rstrip('/')}/{project}/", accept=ACCEPT, what=project)
            except web.MissingError as error:
                missing = error
                continue
        files += read(answer, project)
    if not files:
        raise UpdateError(f"{missing}; look at the name in $.packages, and at pip's configuration of the index")
    return versions(files)


def _session(index: Index, url: str) -> tuple["requests.Session", str]:
    """Return a client for one of the indexes and its URL without the credentials, which the client keeps."""
    from requests.adapters import HTTPAdapter

    class Trusting(HTTPAdapter):
        """Talks to hosts that the user trusts without their certificate."""

        def send(self, *args: Any, **kwargs: Any) -> "requests.Response":  # noqa: ANN401 - as its base
            """Send a request; a bundle in the environment would win over the session's own setting."""
            return super().send(*args, **{**kwargs, "verify": False})

    client, parts = reach.session(), urlsplit(url)
    if index.proxy:
        client.proxies.update({"http": index.proxy, "https": index.proxy})
    for host in index.trusted:
        client.mount(f"https://{host}/", Trusting())
        client.mount(f"https://{host}:", Trusting())
    if parts.username:
        client.auth = (unquote(parts.username), unquote(parts.password or ""))
    return client, parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def read(answer: web.Answer, project: str) -> list["DistributionPackage"]:
    """Return a page's files to install, of this project and no other."""
    page = _page(answer, project)
    where = f"{project}: {reach.shown(answer.url)}"
    if canonicalize_name(page.project) != project:
        raise UpdateError(f"{where}: answers for {page.project[:60]!r}; nothing was changed, tell the index's keeper")
    if page.status == "quarantined":
        raise UpdateError(f"{where}: the index has put the project in quarantine; nothing was changed, find out why")
    files = [
        file for file in page.packages
        if file.project and canonicalize_name(file.project) == project and file.package_type in {"wheel", "sdist"}
    ]  # fmt: skip
    if not any(_version(file) for file in files):
        raise UpdateError(f"{where}: lists no file of {project} (a login page?); nothing was changed")
    for name in (*(file.filename for file in page.packages), *(page.versions or [])):
        if HOSTILE.search(name):
            raise UpdateError(f"{where}: lists {name[:60]!a}, which no file or version is called; nothing was changed")
    return files


def _page(answer: web.Answer, project: str) -> "ProjectPage":
    """Return a page in whichever of the two forms it came."""
    from pypi_simple import ProjectPage, UnsupportedRepoVersionError

    where = f"{project}: {reach.shown(answer.url)}"
    lower = answer.body.lower()
    if answer.kind in HTML and b"<html" in lower and b"</html" not in lower:
        raise UpdateError(f"{where}: was cut short; nothing was changed, try again later")
    try:
        if answer.kind in HTML:
            return ProjectPage.from_html(project, answer.body, answer.url)
        if answer.kind == JSON:
            return ProjectPage.from_json_data(json.loads(answer.body), answer.url)
    except UnsupportedRepoVersionError as error:
        raise UpdateError(f"{where}: {error}; update Kiln's pypi-simple") from None
    except (ValueError, RecursionError):
        # pydantic's reasons are a page long and quote what they refuse.
        raise UpdateError(f"{where}: is no page of an index (malformed or cut short); nothing was changed") from None
    raise UpdateError(f"{where}: is {answer.kind[:60] or 'of no type'!r}, no page of an index; nothing was changed")


def versions(files: list["DistributionPackage"]) -> tuple[Offered, ...]:
    """Return what a project's files offer, oldest first.

    Passed over, as by pip: what is no PEP 440 version; and what no tag can be: local versions and epochs.
    """
    found: dict[Version, list[DistributionPackage]] = {}
    for file in files:
        version = _version(file)
        if version and not version.local and not version.epoch:
            found.setdefault(version, []).append(file)
    return tuple(_offered(version, found[version]) for version in sorted(found))


def _offered(version: Version, files: list["DistributionPackage"]) -> Offered:
    left = [file for file in files if not file.is_yanked]
    requires = dict.fromkeys(file.requires_python or "" for file in left or files)
    return Offered(version=str(version), requires=tuple(requires), yanked=not left)


def _version(file: "DistributionPackage") -> Version | None:
    try:
        return Version(file.version or "")
    except InvalidVersion:
        return None


def _admits(requires: str, python: str) -> bool:
    """Tell whether specifiers admit a version of Python; what is no specifier says nothing, as for pip."""
    try:
        return SpecifierSet(requires).contains(python, prereleases=True)
    except InvalidSpecifier:
        return True
