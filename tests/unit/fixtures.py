"""Where the real files of other projects lie: with the tests, and beside the checkout."""

from pathlib import Path

ROOT = Path(__file__).parents[2]
_FOLDERS = (ROOT / "tests/fixtures", ROOT.parent / "shared/fixtures")


def days(project):
    """Return each date's folder of a project; a date that stands in both places counts once."""
    found = {}
    for folder in _FOLDERS:
        found.update((day.name, day) for day in sorted((folder / project).glob("*-*-*")) if day.is_dir())
    return [found[name] for name in sorted(found)]


OFFICIAL = days("official-python")
INFRA7 = days("infra7")
