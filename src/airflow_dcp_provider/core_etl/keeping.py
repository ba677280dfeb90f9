"""Whether a result is kept once it is computed, or computed again for the write.

Keeping costs memory, and time for what only passes through; computing again costs the computation. A result that is a mere
selection of columns and rows of a table is read again: counting it needs few columns or none, and no other kind is that cheap.
"""

from __future__ import annotations

from typing import Any

from .plan import SinkPlan
from .spec import Job

#: Spark's names for selecting columns and rows, and for reading a table.
_SELECTING = {"Project", "Filter"}
_READING = {"DataSourceV2ScanRelation"}


def is_kept(plan: SinkPlan, job: Job) -> bool:
    """Whether the plan's result is to be kept between its count and its write.

    It always is when both could differ: when files are read, which anybody may replace, or when the query is not deterministic.
    Tables stand still for the whole run (:mod:`.catalogs`). A merge reads its rows more than once anyway.
    """
    if plan.sink.mode == "merge" or any(item.type != "iceberg" for item in job.sources):
        return True
    optimized = plan.result._jdf.queryExecution().optimizedPlan()
    return not (optimized.deterministic() and _is_selection(optimized))


def _is_selection(node: Any) -> bool:
    while node.nodeName() in _SELECTING:
        node = node.children().apply(0)
    return node.nodeName() in _READING
