"""Committing with patience: a writer that was faster is no failure, and an unknown outcome is looked up before trying again."""

from __future__ import annotations

import logging
import random
import time
from typing import Callable, Optional

from .diagnosis import is_conflict, is_unknown
from .faults import EXIT_PLATFORM, DriverError
from .proof import Snapshot

LOG = logging.getLogger("core_etl")

#: Iceberg itself tries each commit several times within a second or two; these tries come after it has given up.
TRIES = 5
FIRST_WAIT = 1.0


def commit_with_retries(
    commit: Callable[[], None],
    find_own: Callable[[], Optional[Snapshot]],
    where: str,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Run ``commit`` until it took place, at most :data:`TRIES` times.

    :param commit: writes and commits; running it again is harmless when the earlier one did not take place.
    :param find_own: looks the table up and returns the snapshot that ``commit`` made, if there is one.
    :param where: begins the messages.
    :param sleep: waits so many seconds.
    :raises DriverError: DCP335 when every try met a conflict. Any other failure of ``commit`` is raised as it is.
    """
    for number in range(1, TRIES + 1):
        try:
            commit()
            return
        except Exception as error:
            unknown = is_unknown(error)
            if not unknown and not is_conflict(error):
                raise
            if unknown and find_own():
                LOG.info("%s: the catalog did not answer in time, but the commit took place", where)
                return
            if number == TRIES:
                raise DriverError(
                    "DCP335",
                    f"{where}: the commit conflicted with other writers {TRIES} times, or its outcome stayed unknown",
                    "other writers keep changing the same table; run again, or let them run one after the other",
                    EXIT_PLATFORM,
                ) from error
            wait = FIRST_WAIT * 2 ** (number - 1) * random.uniform(0.5, 1.5)  # noqa: S311 -- spreads writers, guards nothing
            LOG.warning("%s: another writer was faster; try %s of %s in %.1f s", where, number + 1, TRIES, wait)
            sleep(wait)
