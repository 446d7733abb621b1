"""The commits of files, from what git prints."""

from pathlib import Path

from kiln import history

LOG = "\x00bbb\n\n3.13/trixie/slim/Dockerfile\n3.12/ö x/Dockerfile\n\x00mmm\n\x00aaa\n\n3.13/trixie/slim/Dockerfile\n3.13/trixie/full/Dockerfile\n"


def test_the_newest_commit_of_a_path_counts():
    """Merges name no path, and a later commit hides an earlier one."""
    assert history.parse(LOG) == {
        "3.13/trixie/slim/Dockerfile": "bbb",
        "3.12/ö x/Dockerfile": "bbb",
        "3.13/trixie/full/Dockerfile": "aaa",
    }


def test_an_empty_history_knows_nothing():
    """Nor does a folder that is not there; git is not asked then."""
    assert history.parse("") == {}
    assert history.commits(Path("no/such/folder")) == {}
