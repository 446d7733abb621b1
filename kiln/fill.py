"""What a family does not say of its releases yet: looked up, and filled in."""

from collections.abc import Sequence

from msgspec import structs

from kiln import pythonorg, releases
from kiln.errors import SourceError, UpdateError
from kiln.model import Catalog, Release
from kiln.releases import Found, Known
from kiln.update_plan import Plan


def fill(catalog: Catalog, home: str = "") -> Plan:
    """Return the family with day and files of the releases that lack them, as far as an origin knows.

    `home` is python.org or a mirror of its API and files. What is not known stays open, with a remark.
    """
    open_ones = releases.lacking(catalog)
    if not open_ones:
        return Plan(catalog=catalog)
    wanted = [one.parsed for one in open_ones]
    return with_known(catalog, releases.ask(catalog.sources, home.rstrip("/") or pythonorg.HOME, wanted))


def with_known(catalog: Catalog, known: Known) -> Plan:
    """Return the family with what origins know of its releases that lack something."""
    found = {one.version: _found(one, known) for one in releases.lacking(catalog)}
    made = {version: one.release for version, one in found.items() if isinstance(one, Found)}
    filled = [made.get(one.version, one) for one in catalog.releases]
    remarks = [one.origin if isinstance(one, Found) else one for one in found.values() if one]
    return Plan(catalog=structs.replace(catalog, releases=filled), remarks=(*known.silent, *remarks))


def _found(release: Release, known: Known) -> Found | str:
    """Return what is known of a release; a line if that contradicts itself, nothing if nobody knows it."""
    try:
        return releases.complete(release, known) or ""
    except SourceError:
        # Its files are known, and no origin has them now to read the day from.
        return ""
    except UpdateError as error:
        return f"{release.version}: {error}"


def left(catalog: Catalog) -> list[tuple[str, Sequence[str]]]:
    """Return what is left to a person: what to type, and the releases that it is about."""
    day = [one.version for one in catalog.releases if not one.released]
    files = [one.version for one in catalog.releases if not one.artifacts]
    texts = {
        'no digest of the sources is known, so it is listed and tagged, but cannot be built; add "artifacts": '
        '[{"file": "Python-VERSION.tar.xz", "sha256": "..."}], or run `invoke update python --write` later': files,
        'its day is not known; add "released": "YYYY-MM-DD", or run `invoke update python --write` later': day,
    }
    return [(text, about) for text, about in texts.items() if about]
