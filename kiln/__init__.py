"""Kiln builds, tests and documents families of Python container images."""
