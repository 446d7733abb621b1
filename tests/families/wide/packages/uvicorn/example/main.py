"""Answers every request with the versions that run it: an ASGI application without a framework."""

import json
import platform
from importlib.metadata import version

VERSIONS = {"python": platform.python_version(), "uvicorn": version("uvicorn")}


async def app(scope, receive, send):
    """Answer a request; servers take the error to mean that nothing else is spoken here."""
    if scope["type"] != "http":
        raise NotImplementedError(scope["type"])
    body = json.dumps({**VERSIONS, "path": scope["path"]}).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
