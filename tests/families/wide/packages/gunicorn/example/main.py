"""Answers every request with the versions that run it: a WSGI application without a framework."""

import json
import platform
from importlib.metadata import version

VERSIONS = {"python": platform.python_version(), "gunicorn": version("gunicorn")}


def app(environ, start_response):
    """Answer a request."""
    body = json.dumps({**VERSIONS, "path": environ["PATH_INFO"]}).encode() + b"\n"
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]
