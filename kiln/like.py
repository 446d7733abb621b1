"""Targets that are like another one: JSON merge patches (RFC 7396), applied when read and taken again when written."""

import re
from collections.abc import Mapping
from typing import Any

from kiln.errors import CatalogError

KEY = "like"
_TARGET = re.compile(r"""\$\.targets\[(?P<quote>["'])(?P<name>.*?)(?P=quote)\](?P<rest>.*)""", re.DOTALL)
_STEP = re.compile(r"""\.(?P<key>[^.\[]+)|\[(?P<quote>["'])(?P<name>.*?)(?P=quote)\]|\[[0-9]+\]""", re.DOTALL)


def merge(value: Any, patch: Any) -> Any:
    """Return a JSON value with a merge patch applied: null removes a key, and what is no object replaces."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(value) if isinstance(value, dict) else {}
    for key, part in patch.items():
        if part is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), part)
    return merged


def difference(value: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the smallest patch that makes one object of another; neither may hold null."""
    patch: dict[str, Any] = {key: None for key in value if key not in wanted}
    for key, part in wanted.items():
        old = value.get(key)
        if old == part and key in value:
            continue
        patch[key] = difference(old, part) if isinstance(old, dict) and isinstance(part, dict) else part
    return patch


def whole(raw: Any, file: str) -> Any:
    """Return a family's JSON with every target complete; they keep the name of the target that they are like.

    Raises CatalogError for a target that does not exist, and for targets that are like each other in a circle.
    """
    targets = raw.get("targets") if isinstance(raw, dict) else None
    if not isinstance(targets, dict):
        return raw
    return {**raw, "targets": {name: _complete(targets, name, file) for name in targets}}


def _complete(targets: Mapping[str, Any], name: str, file: str, above: tuple[str, ...] = ()) -> Any:
    """Return one target with what it has from the one that it is like."""
    entry, here = targets[name], f"{file}: $.targets[{name!r}].{KEY}"
    other = entry.get(KEY) if isinstance(entry, dict) else None
    if not isinstance(other, str):
        return entry
    if other in (*above, name):
        circle = ", ".join([*above, name, other])
        raise CatalogError(f"{here}: found {other!r}, which leads in a circle ({circle}); write one of them in full")
    if other not in targets:
        known = ", ".join(one for one in targets if one != name) or "there is no other"
        raise CatalogError(f"{here}: found unknown target {other!r}; use one of: {known}")
    base = _complete(targets, other, file, (*above, name))
    inherited = {key: value for key, value in base.items() if key != KEY} if isinstance(base, dict) else base
    return merge(inherited, entry)


def bases_first(complete: Any) -> Any:
    """Return a family's JSON with targets behind those that they are like, as errors are looked for in order."""
    targets = complete.get("targets") if isinstance(complete, dict) else None
    if not isinstance(targets, dict):
        return complete
    ordered = sorted(targets, key=lambda name: _depth(targets, name))
    return {**complete, "targets": {name: targets[name] for name in ordered}}


def _depth(targets: Mapping[str, Any], name: str) -> int:
    entry = targets[name]
    other = entry.get(KEY) if isinstance(entry, dict) else None
    return 1 + _depth(targets, other) if isinstance(other, str) else 0


def short(targets: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return complete targets as a file has them: those that are like another one name only what differs.

    A target whose model is not among them is written in full.
    """
    return {name: _short(entry, targets) for name, entry in targets.items()}


def _short(entry: dict[str, Any], targets: Mapping[str, dict[str, Any]]) -> dict[str, Any]:
    other = entry.get(KEY, "")
    return {KEY: other, **difference(_bare(targets[other]), _bare(entry))} if other in targets else _bare(entry)


def _bare(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != KEY}


def origin(raw: Any, where: str) -> str:
    """Return the place that an inherited value at a JSON path comes from; nothing if it stands there itself.

    `raw` is the family's JSON as it is in the file.
    """
    found = _TARGET.fullmatch(where)
    if not found:
        return ""
    name, rest, entry = found["name"], found["rest"], raw["targets"].get(found["name"])
    place = name
    while isinstance(entry, dict) and not _stands(entry, rest) and entry.get(KEY) in raw["targets"]:
        place = entry[KEY]
        entry = raw["targets"][place]
    return f"$.targets[{place!r}]{rest}" if place != name else ""


def _stands(entry: Any, rest: str) -> bool:
    """Tell whether an entry of the file has the key that a path leads to; lists are replaced as a whole."""
    for step in _STEP.finditer(rest):
        key = step["key"] or step["name"]
        if key is None or not isinstance(entry, dict):
            return True
        if key not in entry:
            return False
        entry = entry[key]
    return True


def hint(raw: Any, where: str) -> str:
    """Return what an error at a path adds if the value there is inherited: where to correct it."""
    if not (place := origin(raw, where)):
        return ""
    mine = _TARGET.fullmatch(where)
    return f" (inherited from {place}: correct it there, or give {mine['name'] if mine else where} its own)"
