"""What a user can mend: one class per cause, each message says where, what and what to do."""


class KilnError(Exception):
    """A user's mistake or a machine's lack.

    Its message is all that the user sees, so it names the place, what was found there
    and what to do next. The commands print it and exit with 1, without a traceback.
    """


class CatalogError(KilnError):
    """`versions.json` cannot be read or does not make sense."""


class SelectionError(KilnError):
    """A glob, platform or option selects nothing or something that does not exist."""


class RenderError(KilnError):
    """A template is broken, or the generated files have drifted from it."""


class SourceError(KilnError):
    """A source tarball cannot be had, or is not what its digest says."""


class BaseError(KilnError):
    """A base image cannot be had from any origin."""


class EngineError(KilnError):
    """No usable Docker engine, and none could be brought."""


class RuntimeFailedError(EngineError):
    """The engine's container runtime does not start a process, however often it is asked."""


class AptError(KilnError):
    """This machine's apt has no Debian archive, or cannot get what is asked of it."""


class LockError(KilnError):
    """The exact versions of a package and of what it needs are not known."""


class BuildError(KilnError):
    """An image could not be built, loaded or pushed."""


class ReadmeError(KilnError):
    """A document has no blocks to rewrite, or has drifted from its inputs."""


class CommandError(KilnError):
    """A program that Kiln runs is missing or has failed."""


class ImportedError(KilnError):
    """A file of another project cannot be turned into a family."""


class UpdateError(KilnError):
    """What the index or python.org answers cannot be used, or leads to no valid family."""


class ForkError(KilnError):
    """A family cannot be given another repository."""
