"""Where the real files of other projects lie, and the wide family of tests."""

from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
WIDE = ROOT / "tests/families/wide/versions.json"


def days(project):
    """Return each date's folder of a project, in order; that there is none is a mistake."""
    found = sorted(day for day in (ROOT / "tests/fixtures" / project).glob("*-*-*") if day.is_dir())
    assert found, f"tests/fixtures/{project} holds no date"
    return found


@cache
def wide():
    """Return the matrix of the wide family."""
    from kiln import cli

    return cli.matrix(str(WIDE))


OFFICIAL = days("official-python")
INFRA7 = days("infra7")
