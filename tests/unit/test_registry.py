"""What buildx says of an image in a registry, of one platform or of many."""

import json

import pytest

from kiln import registry
from kiln.registry import Found

DIGEST = f"sha256:{'a' * 64}"


@pytest.mark.parametrize(
    ("image", "created"),
    [
        ({"created": "2026-11-01T00:00:00Z", "architecture": "amd64"}, 1793491200),
        ({"linux/amd64": {"created": "2026-11-01T00:00:00Z"}, "linux/arm64": {"created": "2026-11-02T00:00:00Z"}}, 1793577600),
        ({"linux/amd64": {}}, 0),
    ],
)  # fmt: skip
def test_the_newest_platform_dates_the_image(image, created):
    """One configuration, or one for each platform."""
    text = json.dumps({"manifest": {"digest": DIGEST}, "image": image})
    assert registry.parse(text, 5.0) == Found(at=5.0, digest=DIGEST, created=created)
