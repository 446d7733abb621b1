"""python.org's listing: what is read, and what is refused with one line."""

import json

import pytest

from kiln import pythonorg
from kiln.errors import UpdateError
from kiln.web import Answer


def release(name, **changes):
    return {
        "name": name, "slug": "x", "version": 3, "is_published": True, "is_latest": False, "pre_release": False,
        "release_date": "2024-02-06T21:40:35Z", "release_page": None, "show_on_download_page": True,
        "resource_uri": "https://example.org/api/v2/downloads/release/871/", **changes,
    }  # fmt: skip


def answer(*releases, kind="application/json", body=None):
    data = json.dumps(releases).encode() if body is None else body
    return Answer(url="https://example.org/api/", kind=kind, body=data)


def test_published_releases_of_python_3_are_listed_oldest_first():
    """The site lists other products and drafts as well."""
    found = pythonorg.listed(answer(
        release("Python 3.12.10"), release("Python 3.12.2"), release("Python 3.13.0rc1"), release("Python 2.7.18"),
        release("Python install manager 25.0"), release("Python 3.12.11", is_published=False),
    ))  # fmt: skip
    assert [one.version for one in found] == ["3.12.2", "3.12.10", "3.13.0rc1"]
    assert found[0] == pythonorg.Listed(version="3.12.2", released="2024-02-06", number=871)


def test_the_day_is_that_of_utc():
    """Whatever zone the site writes it in."""
    found = pythonorg.listed(answer(release("Python 3.12.2", release_date="2024-02-06T23:30:00-03:00")))
    assert found[0].released == "2024-02-07"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (answer(), "lists no release of Python 3"),
        (answer(release("Python 3.12.2; reboot")), "lists no release of Python 3"),
        (answer(release("Python 3.12.2", resource_uri="https://example.org/release/../1")), "without the number"),
        (answer(release("Python 3.12.2", release_date="2999-01-01T00:00:00Z")), "a day to come"),
        (answer(release("Python 3.12.2", release_date="soon")), "is no answer of its API (malformed or cut short)"),
        (answer(body=b'[{"name": "Py'), "is no answer of its API (malformed or cut short)"),
        (answer(body=b"[" * 100_000), "is no answer of its API (malformed or cut short)"),
        (answer(body=b"\xff"), "is no answer of its API (malformed or cut short)"),
        (answer(kind="text/html", body=b"<html>Sign in"), "is no answer of its API (a web page)"),
    ],
)
def test_what_is_no_listing_is_one_line(given, words):
    """Nothing is guessed from it."""
    with pytest.raises(UpdateError) as caught:
        pythonorg.listed(given)
    assert words in str(caught.value)
    assert str(caught.value).startswith("python.org: ")
    assert "\n" not in str(caught.value)
