"""Pages from templates: ours, a family's own, or one that a user brings.

All of them have the same variables (docs/templates.md) and the same sandbox: a template computes
text and reaches nothing else. A family's folder may hold `templates/`, which is looked into first.
"""

from collections.abc import Mapping
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import (
    ChoiceLoader,
    FileSystemLoader,
    StrictUndefined,
    Template,
    TemplateError,
    TemplateNotFound,
    TemplateSyntaxError,
)
from jinja2.runtime import Context
from jinja2.sandbox import SandboxedEnvironment
from msgspec import Struct

from kiln import catalog, markdown, paths
from kiln.errors import ReadmeError
from kiln.image import PACKAGES
from kiln.page_model import Facts

TEXTS = ("pull_containers", "copy_packages", "quick_start", "documentation", "funding", "tags")
"""The variables that are Markdown themselves, each from a template."""


class Pages(Struct, frozen=True, kw_only=True, dict=True):
    """What renders a family's pages."""

    facts: Facts
    family: Path
    """The folder of the family's versions.json."""
    values: Mapping[str, Any] = msgspec.field(default_factory=dict)
    """What the user gives in place of variables, or beside them."""

    def render(self, name: str) -> str:
        """Return the page of a template below `templates/`: `pages/official.md.j2`."""
        return _render(_environment(self.family), name, self.variables)

    def render_file(self, path: Path) -> str:
        """Return the page of a template anywhere."""
        return _render(_environment(self.family), _Given(path=path, source=read(path)), self.variables)

    @cached_property
    def variables(self) -> dict[str, Any]:
        """Return what a template knows, by name; all of it is what JSON can hold."""
        known = {**msgspec.to_builtins(self.facts), **self.values}
        # Those of a package differ: it is tagged by its version, and used in other ways.
        package = bool(self.facts.tag_rows)
        known = self._own(self.facts.repository_short) | known if package else known
        folder = "texts/package" if package else "texts"
        wanted = {name: f"{folder}/{name}.md.j2" for name in TEXTS if name not in known}
        return known | {name: _render(_environment(self.family), text, known) for name, text in wanted.items()}

    def _own(self, package: str) -> dict[str, Any]:
        """Return the texts that a package brings itself: `packages/uvicorn/documentation.md`, as it is."""
        found = [self.family / PACKAGES / package / f"{name}.md" for name in TEXTS]
        return {path.stem: read(path) for path in found if path.is_file()}


@cache
def _environment(family: Path) -> SandboxedEnvironment:
    """Return Jinja as the templates of pages see it: sandboxed, and an unknown variable is an error."""
    folders = [FileSystemLoader(folder / "templates") for folder in (family, paths.ROOT)]
    environment = SandboxedEnvironment(
        loader=ChoiceLoader(folders), undefined=StrictUndefined, keep_trailing_newline=True, auto_reload=False,
        autoescape=False,  # Markdown is not HTML
    )  # fmt: skip
    environment.filters |= {"code": markdown.code, "md": markdown.escape}
    environment.globals["table"] = markdown.table
    return environment


class _Given(Struct, frozen=True, kw_only=True):
    """A template that a user brings."""

    path: Path
    source: str


def read(path: Path) -> str:
    """Return a template's text. Raises ReadmeError where there is none."""
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise ReadmeError(f"{path}: cannot be read ({error.strerror}); name a template with --template") from None
    except UnicodeDecodeError as error:
        raise ReadmeError(f"{path}: byte {error.start} is not UTF-8; a template is a text in UTF-8") from None
    if "\0" in text:
        raise ReadmeError(f"{path}: byte {text.encode().index(0)} is NUL; a template is a text")
    return text


def load_values(path: Path) -> dict[str, Any]:
    """Return the variables that a JSON file gives.

    Raises CatalogError for what is no object, and for a documented variable of another type.
    """
    raw = catalog.read_json(path, "name a file with --values")
    remedy = "correct the value (docs/templates.md lists the types)"
    guide = catalog.Guide(unknown=remedy, missing=remedy, other=remedy)
    values = catalog.convert(raw, dict[str, object], str(path), guide=guide)
    types = {field.name: field.type for field in msgspec.structs.fields(Facts)} | dict.fromkeys(TEXTS, str)
    for name in values.keys() & types.keys():
        catalog.convert(values[name], types[name], str(path), where=f"$.{name}", guide=guide)
    return values


def _render(environment: SandboxedEnvironment, wanted: str | _Given, variables: Mapping[str, Any]) -> str:
    """Return a template's text; a mistake in it is one line that names file and line."""
    name = f"templates/{wanted}" if isinstance(wanted, str) else str(wanted.path)
    try:
        template = environment.get_template(wanted) if isinstance(wanted, str) else _compile(environment, wanted)
        context = template.new_context(dict(variables))
        text = _text(environment, template, context)
    except TemplateSyntaxError as error:
        raise ReadmeError(f"{error.filename or name}:{error.lineno}: {_flat(error)}; correct the template") from None
    except Exception as error:  # noqa: BLE001 - a template does whatever its author wrote
        raise ReadmeError(f"{_place(error) or name}: {_flat(error)}; {_remedy(error)}") from None
    _check_size(text, context.get_exported().get("max_bytes"), name)
    return text


def _compile(environment: SandboxedEnvironment, given: _Given) -> Template:
    code = environment.compile(given.source, name=str(given.path), filename=str(given.path))
    return Template.from_code(environment, code, environment.make_globals(None))


def _text(environment: SandboxedEnvironment, template: Template, context: Context) -> str:
    """Return what a template gives in a context, which then holds what it sets."""
    try:
        return environment.concat(template.root_render_func(context))
    except Exception:  # noqa: BLE001 - raised again, with the template's lines in its traceback
        environment.handle_exception()


def _place(error: BaseException) -> str:
    """Return file and line of the template in which an error came up, or nothing."""
    place, trace = "", error.__traceback__
    while trace is not None:
        if "__jinja_exception__" in trace.tb_frame.f_globals:
            place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _flat(error: BaseException) -> str:
    """Return an error's words on one line and not longer than a line."""
    if isinstance(error, TemplateNotFound):
        return f"no template {error.message!r} in templates/"
    text = " ".join(str(error).split()).rstrip(".") or type(error).__name__
    return text if len(text) <= 160 else f"{text[:157]}..."


def _remedy(error: BaseException) -> str:
    undefined = isinstance(error, TemplateError) and "undefined" in str(error)
    return "docs/templates.md lists the variables, and --values adds some" if undefined else "correct the template"


def _check_size(text: str, limit: object, name: str) -> None:
    size = len(text.encode())
    if isinstance(limit, int) and size > limit:
        raise ReadmeError(
            f"{name}: the page has {size} bytes, {size - limit} more than the {limit} that its `max_bytes` allows; "
            "list fewer releases or targets, or shorten the template's texts"
        )
