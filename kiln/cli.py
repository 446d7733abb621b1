"""What every command shares: file globs as plain words, and errors as one line."""

import atexit
import errno
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from invoke.exceptions import Exit
from invoke.parser import parser
from invoke.tasks import task

from kiln import console
from kiln.errors import KilnError

if TYPE_CHECKING:
    from kiln.matrix import Matrix

# The checkout's own, wherever in it (or with `invoke -r`) a command is typed.
VERSIONS = os.path.relpath(Path(__file__).resolve().parent.parent / "versions.json")

_REMEDIES = {
    errno.EACCES: "; look at its permissions, or work as the user who owns it",
    errno.EROFS: "; work in a folder that can be written to",
    errno.ENOSPC: "; make room on that disk",
    errno.EDQUOT: "; make room on that disk",
}

_handle = parser.ParseMachine.handle


def _handle_globs(machine: parser.ParseMachine, token: str) -> None:
    """Take any number of plain words for a task's `globs`.

    Invoke has no variadic positional arguments (pyinvoke/invoke#159) and no way in from a tasks
    file, so `invoke build A B` would look for a task named B.
    """
    globs = machine.context.args.get("globs") if machine.context else None
    plain = not token.startswith("-") and token not in machine.contexts and not machine.waiting_for_flag_value
    if globs is not None and plain and machine.current_state == "context":
        globs.value = token
        return
    try:
        _handle(machine, token)
    except ValueError:
        # Invoke would let the traceback through.
        machine.error(f"error: --{machine.flag.name if machine.flag else ''} {token}: not a number; give one")


parser.ParseMachine.handle = _handle_globs  # type: ignore[method-assign, assignment] # see above


def _unless_nobody_reads(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:  # fmt: skip
    """Report an error that nothing caught; a closed pipe, which invoke's own output may meet, is none."""
    if not issubclass(kind, BrokenPipeError):
        sys.__excepthook__(kind, error, trace)
        return
    console.silence()
    # The interpreter would exit with 1, as for an error.
    os._exit(0)


# Invoke prints lists of commands and their help itself, and without care for `| head`.
sys.excepthook = _unless_nobody_reads
atexit.register(console.silence)


def command(**options: Any) -> Callable[[Callable[..., None]], Any]:
    """Make an invoke task of a function: a KilnError becomes one line and exit code 1.

    A parameter named `globs` takes all plain words, one named `platform` may be given repeatedly.
    """

    def decorate(function: Callable[..., None]) -> Any:
        @functools.wraps(function)
        def body(context: Any, *args: Any, **kwargs: Any) -> None:
            try:
                function(context, *args, **_with_rest(context.remainder, kwargs))
            except KilnError as error:
                raise Exit(f"error: {error}", code=1) from None
            except OSError as error:
                place = f"{error.filename}: " if error.filename else ""
                remedy = _REMEDIES.get(error.errno or 0, "")
                raise Exit(f"error: {place}{error.strerror or error}{remedy}", code=1) from None
            except KeyboardInterrupt:
                raise Exit("interrupted; the same command carries on from here", code=130) from None

        names = function.__code__.co_varnames[: function.__code__.co_argcount]
        lists = [name for name in ("globs", "platform") if name in names]
        return task(body, iterable=lists, auto_shortflags=False, **{"positional": [], **options})

    return decorate


def _with_rest(rest: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """Return a task's arguments with the words after `--`, which invoke itself passes by."""
    if rest and "globs" not in kwargs:
        raise KilnError(f"-- {rest}: this command takes no words; leave them out")
    return {**kwargs, "globs": [*kwargs["globs"], *rest.split()]} if rest else kwargs


def matrix(versions: str) -> "Matrix":
    """Return the family that `--versions` names, expanded."""
    from kiln import family

    return family.load(versions)


def own(versions: str) -> "Matrix":
    """Return the family that `--versions` names, to write files in its folder, which must be its own."""
    from kiln import family

    return family.own(matrix(versions))


def folder(name: str | None) -> Path | None:
    """Return the folder of `--sources`, which must be there."""
    if not name:
        return None
    if not Path(name).is_dir():
        raise KilnError(f"{name}: no such folder; --sources takes a folder of source tarballs")
    return Path(name)


def width() -> int | None:
    """Return how wide a table or a sentence for people may be; None if nothing limits it."""
    return console.width()


def prose(text: str) -> str:
    """Return sentences, wrapped at words to the terminal they are printed on."""
    from kiln import columns

    return columns.fill(text, console.width(), indent="  ")


def out(text: str) -> None:
    """Print a result; a closed pipe (`| head`) ends the command quietly."""
    try:
        print(text, flush=True)
    except UnicodeEncodeError:
        # The terminal's encoding is the user's: what it lacks is shown by number.
        print(text.encode("ascii", errors="backslashreplace").decode(), flush=True)
    except BrokenPipeError:
        console.nobody_reads()
