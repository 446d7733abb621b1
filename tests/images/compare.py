"""How a check fails: in one line that names the image, what was expected and what was found."""

import pytest


def same(image_id, what, wanted, found):
    """Fail where two values differ; of mappings, only what differs is told."""
    __tracebackhide__ = True
    if isinstance(wanted, dict) and isinstance(found, dict):
        # Only what differs: the rest would hide it.
        keys = [key for key in wanted | found if wanted.get(key) != found.get(key)]
        wanted, found = ({key: side[key] for key in keys if key in side} for side in (wanted, found))
    if wanted != found:
        pytest.fail(f"{image_id}: {what}: expected {wanted!r}, found {found!r}", pytrace=False)


def nothing(image_id, what, found):
    """Fail, with the first few of them, if there is something that must not be there."""
    __tracebackhide__ = True
    names = sorted(found)
    if names:
        more = f" and {len(names) - 8} more" if len(names) > 8 else ""
        pytest.fail(f"{image_id}: expected no {what}, found {', '.join(names[:8])}{more}", pytrace=False)
