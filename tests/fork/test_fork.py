"""What a maintainer, a bot or a fork makes of this checkout passes every check that needs no engine."""

import shutil
import tempfile
from pathlib import Path

import pytest

from tests.fork import edits
from tests.fork.checkout import Checkout, CommandFailed

# By the name on the command line, the longest first, so that two at a time end together.
EDITS = {
    "next-releases": edits.next_releases,
    "renamed": edits.renamed,
    "new-target": edits.new_target,
    "one-variant": edits.one_variant,
    "only-alpine": edits.only_alpine,
    "own-registry": edits.fork,
    "settings": edits.settings,
    "smallest": edits.smallest,
}


@pytest.mark.parametrize("name", EDITS)
def test_every_check_passes(name):
    """Generated files, pages, lint, drift and the unit tests, of which none may be skipped."""
    folder = Path(tempfile.mkdtemp(prefix=f"kiln-fork-{name}-"))
    try:
        clone = Checkout(folder)
        EDITS[name](clone)
        follow(clone)
    except CommandFailed as error:
        failure = str(error)
    else:
        shutil.rmtree(folder)
        return
    again = f"try again: ./run nox -s fork -- -k {name}"
    pytest.fail(f"{failure}\nerror: {name}: failed in {folder}/clone, which is kept; {again}", pytrace=False)


def follow(clone: Checkout) -> None:
    """Do what comes after an edit, and then what CI does."""
    # Locks of what is gone go; none is made anew, so nobody is asked.
    clone.run("invoke", "lock")
    clone.run("invoke", "generate")
    clone.run("invoke", "readme")
    clone.lint()
    clone.nox("drift")
    clone.nox("unit", "--", "-n0", "--no-cov", "-p", "no:cacheprovider", f"--basetemp={clone.home / 'tests'}")
