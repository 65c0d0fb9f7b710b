"""Celery: the task `octroi.replay` sends the spool of the environment (OCTROI_SPOOL).

    app.conf.imports = ["octroi.celery"]
    app.conf.beat_schedule = {"octroi": {"task": "octroi.replay", "schedule": 60.0}}
"""

from __future__ import annotations

from celery import shared_task

from ._client import Octroi


@shared_task(name="octroi.replay")  # type: ignore[untyped-decorator, unused-ignore]
def replay() -> int:
    """The number of settlements that are left."""
    octroi = Octroi.from_environment()
    try:
        return octroi.replay()
    finally:
        octroi.close()
