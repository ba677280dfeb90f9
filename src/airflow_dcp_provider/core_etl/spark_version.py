"""A job runs on the Spark that its manifest names, or not at all: SQL means other things on another one."""

from __future__ import annotations

from .faults import EXIT_USER, DriverError


def check_spark(version: str, requested: str) -> None:
    """Refuse to run a job on another release line of Spark than it asks for.

    :param version: of the Spark that is running, for example ``3.5.9``.
    :param requested: what the manifest names, for example ``4.1`` or ``4.1.4``; empty for any.
    :raises DriverError: DCP436 when they differ. Releases of one line stand for each other here: which one an image or this machine
        has was the platform's choice.
    """
    line = requested.split(".")[:2]
    if requested and version.split(".")[: len(line)] != line:
        raise DriverError(
            "DCP436",
            f"the job asks for Spark {requested}, and this is Spark {version}; nothing was run",
            "correct `engine.version` in the manifest, or the image that the environment's connection has for it in `image_rules`",
            EXIT_USER,
        )
