"""Pages of an index: what is read from both forms, and what is refused with one line."""

import json

import pypi_simple  # noqa: F401 - TLS cannot be imported where sockets are forbidden
import pytest

from kiln import index
from kiln.errors import UpdateError
from kiln.web import Answer

URL = "https://name:secret@example.org/simple/uvicorn/"


def file(name, **changes):
    return {"filename": name, "url": f"https://example.org/{name}", "hashes": {"sha256": "a" * 64}, **changes}


def page(*files, **changes):
    data = {"meta": {"api-version": "1.1"}, "name": "uvicorn", "files": list(files), **changes}
    return Answer(url=URL, kind=index.JSON, body=json.dumps(data).encode())


def html(*links, end="</body></html>"):
    lines = [f"<a href='/{name}' {attributes}>{name}</a>" for name, attributes in links]
    return Answer(url=URL, kind="text/html", body=f"<!DOCTYPE html><html><body>{''.join(lines)}{end}".encode())


def offered(answer):
    return list(index.versions(index.read(answer, "uvicorn")))


WHEEL, SDIST = "uvicorn-0.9.0-py3-none-any.whl", "uvicorn-0.18.3.tar.gz"


def test_both_forms_say_the_same():
    """Versions come by their order, with what their files need and whether they are yanked."""
    expected = [
        index.Offered(version="0.9.0", requires=(">=3.8",)),
        index.Offered(version="0.18.3", requires=("",), yanked=True),
    ]
    assert offered(page(file(SDIST, yanked="broken"), file(WHEEL, **{"requires-python": ">=3.8"}))) == expected
    assert offered(html((SDIST, "data-yanked=''"), (WHEEL, "data-requires-python='&gt;=3.8'"))) == expected


def test_a_version_is_yanked_when_all_its_files_are():
    """One file that is left makes it installable."""
    both = [file(SDIST, yanked=True), file("uvicorn-0.18.3-py3-none-any.whl")]
    assert [one.yanked for one in offered(page(*both))] == [False]


def test_versions_are_normalised_and_those_that_no_tag_can_be_passed_over():
    """As are files of other projects, and those that nothing installs."""
    names = [
        "uvicorn-1.0.0.RC1.tar.gz", "uvicorn-1!2.0.tar.gz", "uvicorn-1.0+local-py3-none-any.whl",
        "uvicorn-2004x-old.tar.gz", "uvicorn-3.0.exe", "h11-4.0.tar.gz", "uvicorn_worker-5.0-py3-none-any.whl",
    ]  # fmt: skip
    assert [one.version for one in offered(page(*map(file, names)))] == ["1.0.0rc1"]


def test_a_version_runs_where_one_of_its_files_does():
    """What is no specifier says nothing, as for pip; prereleases of Python count."""
    one = index.Offered(version="1", requires=(">=3.12", "==3.9.*"))
    assert [one.runs_on(python) for python in ("3.9.1", "3.11.2", "3.12.0", "3.15.0rc2")] == [True, False, True, True]
    assert index.Offered(version="1", requires=("three",)).runs_on("3.11.2")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (page(file(WHEEL), name="requests"), "answers for 'requests'"),
        (page(file("requests-1.0.tar.gz")), "lists no file of uvicorn"),
        (page(), "lists no file of uvicorn"),
        (page(file("uvicorn-new.tar.gz")), "lists no file of uvicorn"),
        (html(("Sign in", "")), "lists no file of uvicorn (a login page?)"),
        (html((WHEEL, ""), end=""), "was cut short"),
        (page(file(WHEEL), file("uvicorn-1.0;reboot.tar.gz")), "lists 'uvicorn-1.0;reboot.tar.gz', which no file"),
        (page(file(WHEEL), versions=["0.9.0", "1.0\x1b[2J"]), r"lists '1.0\x1b[2J', which no file"),
        (page(file(WHEEL), **{"project-status": {"status": "quarantined"}}), "has put the project in quarantine"),
        (page(file(WHEEL), meta={"api-version": "9.0"}), "update Kiln's pypi-simple"),
        (page("no file"), "is no page of an index"),
        (Answer(url=URL, kind=index.JSON, body=b'{"name": "uvi'), "is no page of an index"),
        (Answer(url=URL, kind=index.JSON, body=b"\xff\xfe"), "is no page of an index"),
        (Answer(url=URL, kind=index.JSON, body=b"[" * 200_000), "is no page of an index"),
        (Answer(url=URL, kind="image/png", body=b""), "is 'image/png', no page of an index"),
    ],
)  # fmt: skip
def test_what_is_no_page_is_one_line(answer, words):
    """It says where, and nothing of the credentials."""
    with pytest.raises(UpdateError) as caught:
        index.read(answer, "uvicorn")
    assert words in str(caught.value)
    assert str(caught.value).startswith("uvicorn: https://example.org/simple/uvicorn/: ")
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_the_users_indexes_are_asked():
    """The default is that of pypi-simple where nothing is configured; several indexes stand beside each other."""
    found = index.configured({
        "index-url": "https://example.org/a", "extra-index-url": "https://example.org/b\nhttps://example.org/a",
        "proxy": "http://example.org:3128", "trusted-host": "example.org",
    })  # fmt: skip
    assert found == index.Index(
        urls=("https://example.org/a", "https://example.org/b"),
        proxy="http://example.org:3128",
        trusted=("example.org",),
    )
    assert len(index.configured({}).urls) == 1


def test_credentials_are_the_clients_and_not_the_urls():
    """A URL is shown, and goes along with redirects."""
    client, url = index._session(index.Index(urls=()), "https://na%40me:sec%2Fret@example.org:8443/simple")  # noqa: SLF001
    assert (url, client.auth) == ("https://example.org:8443/simple", ("na@me", "sec/ret"))


def test_trusted_hosts_alone_are_not_verified():
    """A host of a similar name is no trusted one."""
    client, _ = index._session(index.Index(urls=(), trusted=("example.org",)), "https://example.org/")  # noqa: SLF001
    adapters = [type(client.get_adapter(url)).__name__ for url in (
        "https://example.org/a", "https://example.org:1/a", "https://example.org.test/a",
    )]  # fmt: skip
    assert adapters == ["Trusting", "Trusting", "HTTPAdapter"]
