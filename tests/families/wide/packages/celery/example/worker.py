"""Tasks for a worker; `CELERY_BROKER_URL` says where the broker is, which keeps the results too."""

import os
import platform
from importlib.metadata import version

from celery import Celery

BROKER = os.environ.get("CELERY_BROKER_URL", "redis://redis:6379/0")

celery = Celery("example", broker=BROKER, backend=os.environ.get("CELERY_RESULT_BACKEND", BROKER))


@celery.task
def add(one, other):
    """Return the sum of two numbers."""
    return one + other


@celery.task
def versions():
    """Return the versions that run the worker."""
    return {"python": platform.python_version(), "celery": version("celery")}
