"""Scripts of a virtual environment, which name the place that they were made for. Standard library only."""

import re
from pathlib import Path

_SHEBANG = re.compile(
    rb"\A#!(?:/bin/sh\n'''exec' \"?(?P<long>[^\"\n]*?)\"? \"\$0\" \"\$@\"\n' '''|(?P<short>[^\n]*))\n"
)
_LONGEST = 127
"""Bytes of a first line that all kernels read."""
_LARGEST = 200_000
"""Bytes; what is larger is a program, such as uv, and names no place."""


def settle(venv: Path, before: str, after: str) -> None:
    """Make the scripts of an environment that was made at `before` work at `after`.

    Each file is replaced as a whole, and doing it again changes nothing, so an interruption does no harm.
    """
    for path in (*(venv / "bin").iterdir(), venv / "pyvenv.cfg"):
        if path.is_file() and not path.is_symlink() and path.stat().st_size < _LARGEST:
            text = path.read_bytes()
            if (settled := moved(text, before, after)) != text:
                # Not written in place: a copy of the environment may share the file.
                part = path.with_name(f"{path.name}.part")
                part.write_bytes(settled)
                part.chmod(path.stat().st_mode)
                part.replace(path)


def moved(script: bytes, before: str, after: str) -> bytes:
    """Return a script of the environment at `before` as it has to be at `after`."""
    head, found = b"", _SHEBANG.match(script)
    if found and (interpreter := found["long"] or found["short"]).startswith(f"{before}/bin/".encode()):
        head, script = shebang(interpreter.replace(before.encode(), after.encode(), 1)), script[found.end() :]
    # Only whole paths: `/b/.venv` is not what `/a/b/.venv` begins with.
    whole = rb"(?<![\w./-])" + re.escape(before.encode()) + rb"(?![\w.-])"
    return head + re.sub(whole, lambda _: after.encode(), script)


def shebang(interpreter: bytes) -> bytes:
    """Return the first lines of a script; a kernel would end a path at a space, and a long one anywhere."""
    if b" " not in interpreter and len(interpreter) + 3 <= _LONGEST:
        return b"#!%s\n" % interpreter
    return b"#!/bin/sh\n'''exec' \"%s\" \"$0\" \"$@\"\n' '''\n" % interpreter
