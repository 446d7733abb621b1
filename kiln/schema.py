"""The JSON schema of `versions.json`: from it an editor completes, explains and checks the file."""

import ast
import inspect
import json
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from kiln import checks, model

# What the types leave open and the loader refuses: the form of a text, of a list's items, or of keys.
_FORMS = {
    "Artifact.file": "file", "Artifact.sha256": "digest", "BaseImage.digest": "index", "BaseImage.image": "image",
    "Catalog.registry": "registry", "Catalog.repository": "repository", "Origins.debian": "suite",
    "Origins.mirrors": "mirror", "Packages.compile": "package", "Packages.full": "package",
    "Packages.runtime": "package", "Target.release": "name", "Training.tests": "module",
}  # fmt: skip
_KEYS = {"Catalog.labels": "label", "Catalog.targets": "name", "Catalog.variants": "name", "Catalog.packages": "name"}
_LISTED = ("BaseImage.platforms", "Target.platforms", "Package.platforms")
_LISTS = tuple(f"Package.{name}" for name in ("requirements", "versions", "pythons", "targets", "variants"))
_FILLED = ("Catalog.releases", "Training.tests", "Release.flavours", "Release.targets", "Package.command", *_LISTS)
_PARTS = ("BaseImage", "Packages", "TargetVariant", "TargetTraining")
"""The objects in a target."""
_DISTINCT = (*_LISTED, "Training.tests", "Release.flavours", "Release.targets", *_LISTS)


def text() -> str:
    """Return the schema as text, the same each time."""
    schema = msgspec.json.schema(model.Catalog)
    words = dict(_descriptions(inspect.getsource(model)))
    for kind, struct in schema["$defs"].items():
        for key, value in struct["properties"].items():
            _refine(f"{kind}.{key}", value, words)
    schema["$defs"]["Release"]["properties"]["version"]["pattern"] = _whole(checks.VERSION)
    schema["$defs"]["Release"]["properties"]["released"]["format"] = "date"
    schema["$defs"]["TargetVariant"]["properties"]["max_mb"]["exclusiveMinimum"] = 0
    _add_like(schema["$defs"])
    dialect = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps({"$schema": dialect, **schema}, indent=2, sort_keys=True) + "\n"


def _add_like(known: dict[str, Any]) -> None:
    """Let a target that is `like` another one name only what differs, in its objects too, and take keys away."""
    for name in ("Target", *_PARTS):
        properties = {key: _optional(value) for key, value in known[name]["properties"].items()}
        known[f"{name}Like"] = {**known[name], "title": f"{name}Like", "properties": properties, "required": []}
    known["TargetLike"] |= {"required": ["like"]}
    either = {"if": {"required": ["like"]}, "then": {"$ref": "#/$defs/TargetLike"}, "else": {"$ref": "#/$defs/Target"}}
    known["Catalog"]["properties"]["targets"]["additionalProperties"] = either


def _optional(value: dict[str, Any]) -> dict[str, Any]:
    """Return a key's schema with null, and with parts of the objects in it."""
    text = json.dumps({key: part for key, part in value.items() if key != "description"})
    for name in _PARTS:
        text = text.replace(f'"#/$defs/{name}"', f'"#/$defs/{name}Like"')
    return {"anyOf": [json.loads(text), {"type": "null"}], "description": value["description"]}


def _refine(name: str, value: dict[str, Any], words: Mapping[str, str]) -> None:
    """Add to a key's schema what the loader checks and the types do not say."""
    value["description"] = words[name]
    if name in _FORMS:
        value.get("items", value)["pattern"] = _pattern(_FORMS[name])
    if name in _KEYS:
        value["propertyNames"] = {"pattern": _pattern(_KEYS[name])}
    if name in _LISTED:
        value["items"] = {"enum": list(checks.PLATFORMS)}
    if name in _FILLED:
        value["minItems"] = 1
    if name in _DISTINCT:
        value["uniqueItems"] = True


def _pattern(form: str) -> str:
    return _whole(checks.FORMS[form][0])


def _whole(pattern: str) -> str:
    """Return a pattern that must match all of a text, which a schema's does not."""
    return f"^(?:{pattern})$"


def _descriptions(source: str) -> Iterator[tuple[str, str]]:
    """Yield (`Class.key`, text under it) from the source of the types, on one line each."""
    for struct in (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)):
        for field, note in zip(struct.body, struct.body[1:], strict=False):
            match field, note:
                case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                    key = "$schema" if name == "schema" else name
                    yield f"{struct.name}.{key}", " ".join(words.split())
