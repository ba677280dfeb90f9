"""One moment for the whole run: `now()` and its like mean the same wherever and however often they are computed.

Spark takes the time when it optimises a query, so a result that is counted and then written would see two moments, and two sinks
others again. Here Spark's own rule puts the time into all results at once, before any of them is optimised.
"""

from __future__ import annotations

from typing import Dict, Mapping

from pyspark.sql import DataFrame, SparkSession


def at_one_moment(spark: SparkSession, frames: Mapping[str, DataFrame]) -> Dict[str, DataFrame]:
    """Return ``frames`` with the present moment in place of every function that asks for it."""
    jvm = spark._jvm
    plans = {name: frame._jdf.queryExecution().analyzed() for name, frame in frames.items()}
    current = jvm.org.apache.spark.sql.catalyst.trees.TreePattern.CURRENT_LIKE()
    asking = [name for name, plan in plans.items() if plan.containsPattern(current)]
    if not asking:
        return dict(frames)
    together = jvm.java.util.ArrayList()
    for name in asking:
        together.add(plans[name])
    sequence = jvm.scala.collection.JavaConverters.asScalaBufferConverter(together).asScala().toSeq()
    # The rule takes one plan, and looks at each node by itself: that these have different columns does not matter to it.
    union = jvm.org.apache.spark.sql.catalyst.plans.logical.Union(sequence, False, False)
    fixed = jvm.org.apache.spark.sql.catalyst.optimizer.ComputeCurrentTime.apply(union).children()
    sql = jvm.org.apache.spark.sql
    dataset = sql.Dataset if spark.version.startswith("3.") else sql.classic.Dataset
    found = dict(frames)
    for index, name in enumerate(asking):
        found[name] = type(frames[name])(dataset.ofRows(spark._jsparkSession, fixed.apply(index)), spark)
    return found
