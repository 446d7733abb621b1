"""A family with further releases of Python, of which all that can be looked up is looked up."""

import re
from collections.abc import Sequence

from msgspec import UNSET, Struct, structs
from packaging.version import InvalidVersion, Version

from kiln import pythonorg, releases
from kiln.checks import FREETHREADED, VERSION
from kiln.errors import SelectionError, UpdateError
from kiln.model import Artifact, Catalog, Release
from kiln.releases import Found, Known
from kiln.update_plan import Plan


class Choice(Struct, frozen=True, kw_only=True):
    """How `invoke add` was called for releases."""

    like: str = ""
    """The release of the family whose targets and flavours a new one gets; the newest of its series if not given."""
    prerelease: bool = False
    """Whether a series may mean a prerelease."""
    announced: bool = False
    """Whether to take in a release whose sources no origin serves yet."""
    home: str = ""
    """python.org, or a mirror of it."""


def plan(catalog: Catalog, words: Sequence[str], choice: Choice) -> Plan:
    """Return the family with the releases that words name: versions, or series for the newest one of each.

    Raises SelectionError for what is no version, or there already, and UpdateError for what no origin knows.
    """
    parsed = [_parsed(word) for word in words]
    # Nobody is asked for what needs no answer.
    for word in words:
        _own(catalog, word)
    home = choice.home.rstrip("/") or pythonorg.HOME
    known = releases.ask(catalog.sources, home, parsed)
    made = Plan(catalog=catalog)
    for word in words:
        step = _one(made.catalog, word, known, choice)
        made = Plan(catalog=step.catalog, remarks=(*made.remarks, *step.remarks))
    return made


def _parsed(word: str) -> Version:
    try:
        version = Version(word)
    except InvalidVersion:
        version = Version("0")
    plain = releases.current(word) or re.fullmatch(VERSION, word)
    if not version.major or str(version) != word or not plain:
        raise SelectionError(
            f"{word!r}: no version or series of Python; write one such as 3.13.15 or 3.16, "
            f"or `invoke add target {word}`, `invoke add package {word}`"
        )
    return version


def _one(catalog: Catalog, word: str, known: Known, choice: Choice) -> Plan:
    """Return the family with one more release, or with what one lacks that it has already."""
    own = _own(catalog, word)
    template = own or _template(catalog, word, choice)
    passed: list[str] = []
    for version in _versions(catalog, word, known, choice):
        found = releases.complete(own, known) if own else releases.find(template, version, known)
        if found is None:
            raise UpdateError(releases.unknown(version, known))
        if found.available or choice.announced:
            remarks = (*passed, *_remarks(found))
            return Plan(catalog=with_release(catalog, found.release, own), remarks=remarks)
        passed.append(f"{version}: announced, and no origin serves its sources yet")
    raise UpdateError(f"{'; '.join(passed)}; try again later, or take it in with --announced to be listed alone")


def _own(catalog: Catalog, word: str) -> Release | None:
    """Return the family's own release of a version, if something of it is lacking; SelectionError if nothing is."""
    own = next((one for one in catalog.releases if one.version == word), None)
    if own and own.released and own.artifacts:
        raise SelectionError(f"{word}: is a release of the family already; `invoke drop {word}` removes it")
    return own


def _versions(catalog: Catalog, word: str, known: Known, choice: Choice) -> list[str]:
    """Return the versions that a word may mean, the best one first."""
    if not releases.current(word):
        return [word]
    have = {one.version for one in catalog.releases}
    found = [one for one in releases.newest(word, known, prerelease=choice.prerelease) if one not in have]
    if not found:
        early = [] if choice.prerelease else releases.newest(word, known, prerelease=True)
        if early and not have & set(early):
            raise UpdateError(f"{word}: has prereleases alone ({early[0]}); add --prerelease to take one")
        raise UpdateError(releases.unknown(word, known))
    # Older than what the family has already is not what anybody means by a series.
    mine = [one.parsed for one in catalog.releases if one.series == word]
    return [one for one in found if not mine or Version(one) > min(mine)] or found


def _template(catalog: Catalog, word: str, choice: Choice) -> Release:
    """Return the release that a new one takes its targets and flavours from."""
    if choice.like:
        own = next((one for one in catalog.releases if one.version == choice.like), None)
        if own is None:
            known = ", ".join(one.version for one in catalog.releases)
            raise SelectionError(f"--like {choice.like}: no release of the family; name one of: {known}")
        return _bare(own, word)
    wanted = Version(word)
    ordered = sorted(catalog.releases, key=lambda one: one.parsed, reverse=True)
    same = [one for one in ordered if one.parsed.release[:2] == wanted.release[:2]]
    older = [one for one in ordered if one.parsed.release[:2] < wanted.release[:2]]
    return _bare((same or older or ordered[-1:])[0], word)


def _bare(release: Release, word: str) -> Release:
    """Return a release with nothing of its own version but its targets and flavours."""
    free = Version(word if word.count(".") > 1 else f"{word}.0") >= FREETHREADED
    flavours = [one for one in release.flavours if one == "default" or free] or list(release.flavours[:1])
    windows = Artifact(file=release.installer, sha256="") if release.windows else UNSET
    same = f"{Version(word).major}.{Version(word).minor}" == release.series
    pins = release.pins if same else UNSET
    return structs.replace(release, artifacts=[], released="", flavours=flavours, windows=windows, pins=pins)


def _remarks(found: Found) -> list[str]:
    lines = [found.origin]
    if not found.available:
        lines.append(
            f"{found.release.version}: announced, and no origin serves its sources yet: listed and tagged alone"
        )
    return lines


def with_release(catalog: Catalog, release: Release, own: Release | None = None) -> Catalog:
    """Return the family with a release in its place: that of `own`, or before the first one that is older."""
    if release.windows and not release.windows.sha256:
        linux = [name for name in release.targets if catalog.targets[name].distribution != "windows"]
        release = structs.replace(release, windows=UNSET, targets=linux)
    if own:
        return structs.replace(catalog, releases=[release if one is own else one for one in catalog.releases])
    found = list(catalog.releases)
    place = next((index for index, one in enumerate(found) if one.parsed < release.parsed), len(found))
    return structs.replace(catalog, releases=[*found[:place], release, *found[place:]])
