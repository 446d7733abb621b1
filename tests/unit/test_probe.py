"""The pure parts of the script that runs in images."""

import struct

import pytest

from tests.images import probe


def header(*, kind=3, machine=62, bits=2, order=1):
    byteorder = "little" if order == 1 else "big"
    words = b"".join(value.to_bytes(2, byteorder) for value in (kind, machine))
    return b"\x7fELF" + bytes([bits, order]) + b"\0" * 10 + words + b"\0" * 40


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (header(), (62, 64, "little")),
        (header(machine=22, order=2), (22, 64, "big")),
        (header(machine=40, bits=1), (40, 32, "little")),
        (header(kind=1), None),
        (b"#!/bin/sh\n" + b"x" * 40, None),
        (b"", None),
    ],
    ids=["amd64", "s390x", "arm", "object file", "script", "empty"],
)
def test_elf_header(tmp_path, content, expected):
    """Programs and libraries are told from object files, scripts and empty files, in either byte order."""
    path = tmp_path / "file"
    path.write_bytes(content)
    assert expected == probe.elf(str(path))


@pytest.mark.parametrize(
    ("bits", "order"),
    [(2, "little"), (1, "little"), (2, "big")],
    ids=["amd64", "386", "s390x"],
)
def test_program_loader(tmp_path, bits, order):
    """The loader is the one that the file names among its segments, wherever that is; a plain library names none."""
    sign, loader = "<" if order == "little" else ">", b"/lib/ld-musl-x86_64.so.1\0"
    wide = bits == 2
    begin = 64 if wide else 52
    fields = "QQQIHHHHHH" if wide else "IIIIHHHHHH"
    size = struct.calcsize("=IIQQQQQQ" if wide else "=IIIIIIII")
    place = begin + 2 * size + 70_000

    def segment(kind):
        if wide:
            return struct.pack(f"{sign}IIQQQQQQ", kind, 4, place, 0, 0, len(loader), len(loader), 1)
        return struct.pack(f"{sign}IIIIIIII", kind, place, 0, 0, len(loader), len(loader), 4, 1)

    ident = b"\x7fELF" + bytes([bits, 1 if order == "little" else 2]) + b"\0" * 10
    rest = struct.pack(f"{sign}HHI{fields}", 3, 62, 1, 0, begin, 0, 0, begin, size, 2, 0, 0, 0)
    path = tmp_path / "python3"
    path.write_bytes(ident + rest + segment(1) + segment(3) + b"\0" * 70_000 + loader)
    assert probe.interpreter_of(str(path)) == "/lib/ld-musl-x86_64.so.1"
    path.write_bytes(ident + rest + segment(1) + segment(1) + b"\0" * 70_000 + loader)
    with pytest.raises(RuntimeError, match="names no program loader"):
        probe.interpreter_of(str(path))


def test_needles_are_sought_in_small_files(tmp_path, monkeypatch):
    """A needle is found in a file of a folder that builds write to, and nowhere else."""
    monkeypatch.setattr(probe, "_WRITTEN_TO", (str(tmp_path),))
    path = tmp_path / "file"
    path.write_text("index-url = https://index.example.org/simple")
    size = path.stat().st_size
    assert probe.holds(str(path), size, [b"//index.example.org"])
    assert not probe.holds(str(path), size, [b"//other.example.org"])
    assert not probe.holds("/elsewhere", size, [b"//index.example.org"])


def test_certificates_compare_without_line_ends(tmp_path):
    """The same certificate is the same, however its lines are broken."""
    one, two = tmp_path / "one", tmp_path / "two"
    one.write_text("-----BEGIN CERTIFICATE-----\nAAAA\nBBBB\n-----END CERTIFICATE-----\n")
    two.write_text("-----BEGIN CERTIFICATE-----\r\nAAAABBBB\r\n-----END CERTIFICATE-----\r\n")
    assert probe.certificates(str(one)) == probe.certificates(str(two)) == {b"AAAABBBB"}


def test_a_group_that_fails_leaves_a_reason():
    """What cannot be had is a reason, not an end of the others."""

    def broken():
        raise ImportError("No module named '_ssl'")

    assert probe.guarded(broken) == (None, "ImportError: No module named '_ssl'")
