"""Read and write `versions.json`: strict, and every error says where, what and what to do."""

import json
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn, TypeVar, get_args

import msgspec
from msgspec import Struct, UnsetType

from kiln import checks, checks_packages, checks_targets, like
from kiln.errors import CatalogError
from kiln.model import Catalog

T = TypeVar("T")

_CHECKS = (checks, checks_targets, checks_packages)
MISSING = "run from the checkout or name the file with --versions"
"""What to do where there is no such file."""


class Guide(Struct, frozen=True, kw_only=True):
    """What a user is told to do about a file of one kind that does not fit."""

    unknown: str = "remove the key or correct its spelling (versions.schema.json lists the keys)"
    missing: str = "add the key (versions.schema.json describes it)"
    other: str = "correct the value (versions.schema.json describes it)"

    def remedy(self, reason: str) -> str:
        """Return what to do about one of msgspec's reasons."""
        if "unknown field" in reason:
            return self.unknown
        return self.missing if "missing required" in reason else self.other


def load(path: Path) -> Catalog:
    """Return the family that `path` describes.

    Raises CatalogError with the file, the JSON path, the value and the remedy.
    """
    return _family(read_json(path), str(path))


def loads(text: str, file: str) -> Catalog:
    """Return the family that a text describes; `file` is what errors call it."""
    return _family(_json(lambda: text, file), file)


def _family(raw: Any, file: str) -> Catalog:
    complete = like.whole(raw, file)
    # The first error is raised: that of a target comes before those of the targets that are like it.
    convert(like.bases_first(complete), Catalog, file, hint=lambda where: like.hint(raw, where))
    catalog = convert(complete, Catalog, file)
    for module in _CHECKS:
        if problems := _told(module.malformed(catalog), raw):
            raise CatalogError(f"{file}: {problems[0]}")
    # What refers to nothing has one cause, mostly: something was removed, and each place is to follow.
    if problems := [problem for module in _CHECKS for problem in _told(module.dangling(catalog), raw)]:
        raise CatalogError("\n".join(f"{file}: {problem}" for problem in problems))
    return catalog


def _told(problems: Iterable[checks.Problem], raw: Any) -> list[str]:
    """Return problems as lines; those of a value that several targets have come once, where it stands."""
    found = list(problems)
    places = {where for where, _ in found}
    lines = [(where, f"{where}: {problem}{like.hint(raw, where)}") for where, problem in found]
    return [line for where, line in lines if like.origin(raw, where) not in places]


def dumps(catalog: Catalog) -> str:
    """Return the text of a family's file: keys sorted, one value a line."""
    plain = msgspec.to_builtins(catalog)
    plain["targets"] = like.short(plain["targets"])
    plain["releases"] = [_known(release) for release in plain["releases"]]
    return json.dumps(plain, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def _known(release: dict[str, Any]) -> dict[str, Any]:
    """Return a release without the keys of what is not known of it yet."""
    return {key: value for key, value in release.items() if value or key not in {"artifacts", "released"}}


def read_json(path: Path, missing: str = MISSING) -> Any:
    """Return the JSON value of a file, read strictly; `missing` is what to do where there is none."""
    try:
        return _json(lambda: path.read_text(encoding="utf-8"), str(path))
    except FileNotFoundError:
        raise CatalogError(f"{path}: no such file; {missing}") from None
    except OSError as error:
        raise CatalogError(f"{path}: cannot be read ({error.strerror}); check the file and its rights") from None


def convert(  # noqa: PLR0913 - where and how errors are told
    raw: Any, kind: type[T], file: str, *, where: str = "$", guide: Guide = Guide(),  # noqa: B008 - frozen
    hint: Callable[[str], str] = lambda _: "",
) -> T:  # fmt: skip
    """Return a JSON value as a `kind`; an error names the file, the path below `where`, the value and the remedy.

    `hint` returns what to add to an error at a path.
    """
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError as error:
        place, value, reason = _locate(raw, kind, where, str(error))
        remedy = f"{guide.remedy(reason)}{hint(place)}"
        raise CatalogError(f"{file}: {place}: {reason}, found {short(value)}; {remedy}") from None


def _json(read: Callable[[], str], file: str) -> Any:
    """Return the JSON value of what `read` returns."""
    try:
        return _value(read(), file)
    except UnicodeDecodeError as error:
        raise CatalogError(f"{file}: byte {error.start} is not UTF-8; save the file as UTF-8") from None
    except UnicodeEncodeError as error:
        half = ascii(error.object[error.start])
        raise CatalogError(f"{file}: holds {half}, one half of a character; write the character itself") from None
    except json.JSONDecodeError as error:
        raise CatalogError(
            f"{file}: line {error.lineno}, column {error.colno}: not JSON ({error.msg}); correct it there"
        ) from None
    except (RecursionError, ValueError) as error:
        raise CatalogError(f"{file}: cannot be read as JSON ({error}); correct the file") from None


def _value(text: str, file: str) -> Any:
    """Return the JSON value of a text, refusing what a JSON parser would let pass in silence."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) < len(items):
            twice = next(key for key, count in Counter(key for key, _ in items).items() if count > 1)
            raise CatalogError(f"{file}: key {short(twice)} stands twice in one object; keep one of them")
        return found

    def constant(name: str) -> NoReturn:
        raise CatalogError(f"{file}: {name} is not JSON; write a number")

    if text.startswith("\ufeff"):
        raise CatalogError(f"{file}: begins with a byte order mark; save the file as UTF-8 without it")
    value = json.loads(text, object_pairs_hook=pairs, parse_constant=constant)
    # JSON can write halves of characters, which are no text to anything else.
    json.dumps(value, ensure_ascii=False).encode()
    return value


def _locate(raw: Any, kind: Any, where: str, reason: str) -> tuple[str, Any, str]:
    """Return the path, the value and the reason of the deepest part of `raw` that is not a `kind`.

    msgspec names paths without list indices and without values, so the parts are tried one by one.
    """
    for name, value, part in _parts(raw, msgspec.inspect.type_info(kind)):
        try:
            msgspec.convert(value, part)
        except msgspec.ValidationError as error:
            return _locate(value, part, where + name, str(error))
    # A reason quotes keys and values of the file, which may be long and hold line ends.
    words = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in reason.split(" - at `", maxsplit=1)[0])
    return where, raw, words.replace("`", "") if len(words) <= 120 else f"{words[:117]}..."


def _parts(raw: Any, info: msgspec.inspect.Type) -> list[tuple[str, Any, Any]]:
    """Return (path step, value, type) of each part of a struct, list or mapping."""
    if isinstance(info, msgspec.inspect.StructType) and isinstance(raw, dict):
        hints = msgspec.structs.fields(info.cls)
        return [(f".{h.encode_name}", raw[h.encode_name], _struct(h.type)) for h in hints if h.encode_name in raw]
    if isinstance(info, msgspec.inspect.ListType) and isinstance(raw, list):
        item = _python(info.item_type)
        return [(f"[{index}]", value, item) for index, value in enumerate(raw)]
    if isinstance(info, msgspec.inspect.DictType) and isinstance(raw, dict):
        item = _python(info.value_type)
        return [(f"[{json.dumps(key)}]", value, item) for key, value in raw.items()]
    return []


def _struct(kind: Any) -> Any:
    """Return the struct of `Struct | UnsetType`, so that what is wrong inside can be found; any other type as it is."""
    structs = [part for part in get_args(kind) if isinstance(part, type) and issubclass(part, Struct)]
    return structs[0] if structs and UnsetType in get_args(kind) else kind


def _python(info: msgspec.inspect.Type) -> Any:
    """Return the Python type behind msgspec's description of a list's or mapping's items."""
    if isinstance(info, msgspec.inspect.StructType):
        return info.cls
    if isinstance(info, msgspec.inspect.ListType):
        return list[_python(info.item_type)]  # type: ignore[misc] # made at run time
    if isinstance(info, msgspec.inspect.LiteralType):
        from typing import Literal

        return Literal[info.values]
    return str


def short(value: Any) -> str:
    """Return a value as JSON, on one line and not longer than a line."""
    text = json.dumps(value, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."
