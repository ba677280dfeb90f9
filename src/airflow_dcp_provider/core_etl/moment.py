"""One moment for the whole run: `now()` and its like mean the same wherever and however often they are computed.

Spark takes the time when it optimises a query, so a result that is counted and then written would see two moments, and two sinks
others again. Here Spark's own rules put the time into all results at once, before any of them is optimised: that of functions, and
that of the texts `now`, `today`, `tomorrow` and `yesterday` where they are cast to dates and times.
"""

from __future__ import annotations

from typing import Any, Dict, List, Mapping

from pyspark.sql import DataFrame, SparkSession


def at_one_moment(spark: SparkSession, frames: Mapping[str, DataFrame]) -> Dict[str, DataFrame]:
    """Return ``frames`` with the present moment in place of every function and text that asks for it."""
    jvm = spark._jvm
    rules = jvm.org.apache.spark.sql.catalyst.optimizer
    names = list(frames)
    plans = [frames[name]._jdf.queryExecution().analyzed() for name in names]
    current = jvm.org.apache.spark.sql.catalyst.trees.TreePattern.CURRENT_LIKE()
    # Functions like to_date() are casts to Spark only once they are replaced by what they stand for.
    replaced = [rules.ReplaceExpressions.apply(plan) for plan in plans]
    asking = []
    for index, plan in enumerate(plans):
        if not rules.SpecialDatetimeValues.apply(replaced[index]).fastEquals(replaced[index]):
            plans[index] = replaced[index]
            asking.append(index)
        elif plan.containsPattern(current):
            asking.append(index)
    if not asking:
        return dict(frames)
    fixed = rules.SpecialDatetimeValues.apply(rules.ComputeCurrentTime.apply(_together(jvm, [plans[index] for index in asking])))
    sql = jvm.org.apache.spark.sql
    dataset = sql.Dataset if spark.version.startswith("3.") else sql.classic.Dataset
    found = dict(frames)
    for place, index in enumerate(asking):
        name = names[index]
        found[name] = type(frames[name])(dataset.ofRows(spark._jsparkSession, fixed.children().apply(place)), spark)
    return found


def _together(jvm: Any, plans: List[Any]) -> Any:
    """Return one plan of many. A rule looks at each node by itself: that these have different columns does not matter to it."""
    sequence = jvm.scala.collection.JavaConverters.asScalaBufferConverter(_list(jvm, plans)).asScala().toSeq()
    return jvm.org.apache.spark.sql.catalyst.plans.logical.Union(sequence, False, False)


def _list(jvm: Any, items: List[Any]) -> Any:
    made = jvm.java.util.ArrayList()
    for item in items:
        made.add(item)
    return made
