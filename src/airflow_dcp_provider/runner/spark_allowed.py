"""The Spark settings that a manifest may set, each by its exact name and with the kind of its value. Data, and nothing else.

The names are those that Spark 3.5, 4.0 and 4.1 document or know, and Iceberg's own session settings. What is left out on purpose:

- whatever names a class, a script, a file, a folder, an address or a log, or is read when Spark starts its JVMs;
- catalogs, extensions, listeners, static settings of SQL, and everything about security, redaction and clusters;
- what the driver must rely on: time zone, capitals in names, how values are assigned to columns (``storeAssignmentPolicy``), which
  partitions an overwrite replaces (``partitionOverwriteMode``), how quotes and numbers in SQL are read
  (``escapedStringLiterals``, ``quotedRegexColumnNames``, ``doubleQuotedIdentifiers``, ``groupByOrdinal``, ``orderByOrdinal``),
  ``timestampType``, ``error.messageFormat``, variables in SQL, SQL on files;
- Iceberg's ``check-nullability``, ``merge-schema`` and ``snapshot-property``, which would undo what the driver checks and proves;
- ``legacy`` settings, which turn faults that were corrected back on. One is allowed: many dates can be read no other way than with
  ``timeParserPolicy``.

Settings that change results by the author's own choice are allowed: ANSI mode, the loss of digits in decimals, keys that are there
twice in a map, NULLs in JSON.
"""

from __future__ import annotations

#: Kinds of values, as regular expressions for the whole value. None of them can hold a comma, a quote, a blank or ``$``.
KINDS = {
    "truth": r"true|false",
    "number": r"\d{1,19}",
    # -1 means that there is none.
    "limit": r"-1|\d{1,19}",
    "size": r"\d{1,19}([kmgtp]?b|[kmgtp])?",
    "threshold": r"(-1|\d{1,19})([kmgtp]?b|[kmgtp])?",
    "duration": r"(-1|\d{1,19})(us|ms|s|m|min|h|d)?",
    "fraction": r"\d{1,9}(\.\d{1,9})?",
    "column": r"[a-z_][a-z0-9_]{0,254}",
}

_BY_KIND = {
    "truth": """
spark.broadcast.checksum spark.broadcast.compress
spark.checkpoint.compress
spark.cleaner.referenceTracking.blocking spark.cleaner.referenceTracking.blocking.shuffle
spark.decommission.enabled
spark.dynamicAllocation.enabled spark.dynamicAllocation.shuffleTracking.enabled
spark.excludeOnFailure.application.enabled spark.excludeOnFailure.application.fetchFailure.enabled spark.excludeOnFailure.enabled
spark.excludeOnFailure.killExcludedExecutors spark.excludeOnFailure.killExcludedExecutors.decommission
spark.excludeOnFailure.taskAndStage.enabled
spark.executor.processTreeMetrics.enabled
spark.files.ignoreCorruptFiles spark.files.ignoreMissingFiles
spark.io.compression.lzf.parallel.enabled spark.io.compression.zstd.bufferPool.enabled
spark.memory.offHeap.enabled
spark.rdd.compress
spark.shuffle.checksum.enabled spark.shuffle.compress spark.shuffle.detectCorrupt spark.shuffle.detectCorrupt.useExtraMemory
spark.shuffle.io.preferDirectBufs spark.shuffle.readHostLocalDisk spark.shuffle.reduceLocality.enabled
spark.shuffle.sort.useRadixSort spark.shuffle.spill.compress spark.shuffle.unsafe.fastMergeEnabled
spark.speculation spark.speculation.efficiency.enabled
spark.stage.ignoreDecommissionFetchFailure
spark.storage.decommission.enabled spark.storage.decommission.rddBlocks.enabled spark.storage.decommission.shuffleBlocks.enabled
spark.storage.replication.proactive
spark.task.reaper.enabled spark.task.reaper.threadDump
spark.sql.adaptive.applyFinalStageShuffleOptimizations spark.sql.adaptive.coalescePartitions.enabled
spark.sql.adaptive.coalescePartitions.parallelismFirst spark.sql.adaptive.enabled spark.sql.adaptive.fetchShuffleBlocksInBatch
spark.sql.adaptive.forceApply spark.sql.adaptive.forceOptimizeSkewedJoin spark.sql.adaptive.localShuffleReader.enabled
spark.sql.adaptive.optimizeSkewsInRebalancePartitions.enabled spark.sql.adaptive.skewJoin.enabled
spark.sql.ansi.enabled
spark.sql.bucketing.coalesceBucketsInJoin.enabled
spark.sql.cbo.enabled spark.sql.cbo.joinReorder.dp.star.filter spark.sql.cbo.joinReorder.enabled spark.sql.cbo.planStats.enabled
spark.sql.cbo.starSchemaDetection
spark.sql.codegen.aggregate.map.twolevel.enabled spark.sql.codegen.aggregate.map.twolevel.partialOnly
spark.sql.codegen.aggregate.map.vectorized.enable spark.sql.codegen.aggregate.sortAggregate.enabled
spark.sql.codegen.aggregate.splitAggregateFunc.enabled spark.sql.codegen.fallback spark.sql.codegen.splitConsumeFuncByOperator
spark.sql.codegen.wholeStage
spark.sql.constraintPropagation.enabled spark.sql.crossJoin.enabled
spark.sql.csv.filterPushdown.enabled spark.sql.csv.parser.columnPruning.enabled
spark.sql.decimalOperations.allowPrecisionLoss
spark.sql.exchange.reuse
spark.sql.execution.removeRedundantProjects spark.sql.execution.removeRedundantSorts spark.sql.execution.replaceHashWithSortAgg
spark.sql.execution.reuseSubquery spark.sql.execution.sortBeforeRepartition spark.sql.execution.useObjectHashAggregateExec
spark.sql.files.ignoreCorruptFiles spark.sql.files.ignoreInvalidPartitionPaths spark.sql.files.ignoreMissingFiles
spark.sql.inMemoryColumnarStorage.compressed spark.sql.inMemoryColumnarStorage.enableVectorizedReader
spark.sql.inMemoryColumnarStorage.partitionPruning
spark.sql.join.preferSortMergeJoin
spark.sql.json.enableExactStringParsing spark.sql.json.enablePartialResults spark.sql.json.filterPushdown.enabled
spark.sql.jsonGenerator.ignoreNullFields
spark.sql.optimizeNullAwareAntiJoin
spark.sql.optimizer.avoidCollapseUDFWithExpensiveExpr spark.sql.optimizer.canChangeCachedPlanOutputPartitioning
spark.sql.optimizer.collapseProjectAlwaysInline spark.sql.optimizer.disableHints
spark.sql.optimizer.dynamicPartitionPruning.enabled spark.sql.optimizer.dynamicPartitionPruning.reuseBroadcastOnly
spark.sql.optimizer.dynamicPartitionPruning.useStats
spark.sql.optimizer.enableCsvExpressionOptimization spark.sql.optimizer.enableJsonExpressionOptimization
spark.sql.optimizer.expression.nestedPruning.enabled spark.sql.optimizer.nestedSchemaPruning.enabled
spark.sql.optimizer.propagateDistinctKeys.enabled spark.sql.optimizer.runtime.bloomFilter.enabled
spark.sql.optimizer.runtime.rowLevelOperationGroupFilter.enabled spark.sql.optimizer.runtimeFilter.semiJoinReduction.enabled
spark.sql.parquet.aggregatePushdown spark.sql.parquet.binaryAsString spark.sql.parquet.enableNestedColumnVectorizedReader
spark.sql.parquet.enableVectorizedReader spark.sql.parquet.filterPushdown spark.sql.parquet.filterPushdown.date
spark.sql.parquet.filterPushdown.decimal spark.sql.parquet.filterPushdown.string.startsWith
spark.sql.parquet.filterPushdown.stringPredicate spark.sql.parquet.filterPushdown.timestamp
spark.sql.parquet.inferTimestampNTZ.enabled spark.sql.parquet.int96AsTimestamp spark.sql.parquet.int96TimestampConversion
spark.sql.parquet.mergeSchema spark.sql.parquet.recordLevelFilter.enabled
spark.sql.requireAllClusterKeysForCoPartition spark.sql.requireAllClusterKeysForDistribution
spark.sql.shuffle.orderIndependentChecksum.enableFullRetryOnMismatch spark.sql.shuffle.orderIndependentChecksum.enabled
spark.sql.sort.enableRadixSort
spark.sql.sources.bucketing.autoBucketedScan.enabled spark.sql.sources.bucketing.enabled
spark.sql.sources.ignoreDataLocality spark.sql.sources.partitionColumnTypeInference.enabled
spark.sql.sources.v2.bucketing.allowCompatibleTransforms.enabled
spark.sql.sources.v2.bucketing.allowJoinKeysSubsetOfPartitionKeys.enabled spark.sql.sources.v2.bucketing.enabled
spark.sql.sources.v2.bucketing.partiallyClusteredDistribution.enabled spark.sql.sources.v2.bucketing.partition.filter.enabled
spark.sql.sources.v2.bucketing.pushPartValues.enabled spark.sql.sources.v2.bucketing.shuffle.enabled
spark.sql.sources.v2.bucketing.sorting.enabled
spark.sql.statistics.histogram.enabled
spark.sql.subexpressionElimination.enabled spark.sql.subexpressionElimination.skipForShortcutExpr
spark.sql.iceberg.aggregate-push-down.enabled spark.sql.iceberg.executor-cache.enabled
spark.sql.iceberg.executor-cache.locality.enabled spark.sql.iceberg.locality.enabled
spark.sql.iceberg.planning.preserve-data-grouping spark.sql.iceberg.report-column-stats
spark.sql.iceberg.vectorization.enabled
""",
    "number": """
spark.default.parallelism
spark.driver.cores
spark.dynamicAllocation.initialExecutors spark.dynamicAllocation.maxExecutors spark.dynamicAllocation.minExecutors
spark.excludeOnFailure.application.maxFailedExecutorsPerNode spark.excludeOnFailure.application.maxFailedTasksPerExecutor
spark.excludeOnFailure.stage.maxFailedExecutorsPerNode spark.excludeOnFailure.stage.maxFailedTasksPerExecutor
spark.excludeOnFailure.task.maxTaskAttemptsPerExecutor spark.excludeOnFailure.task.maxTaskAttemptsPerNode
spark.executor.cores spark.executor.instances spark.executor.maxNumFailures
spark.io.compression.zstd.level spark.io.compression.zstd.workers
spark.rdd.parallelListingThreshold
spark.reducer.maxBlocksInFlightPerAddress spark.reducer.maxReqsInFlight
spark.rpc.io.numConnectionsPerPeer spark.rpc.io.threads spark.rpc.message.maxSize spark.rpc.netty.dispatcher.numThreads
spark.scheduler.listenerbus.eventqueue.capacity
spark.shuffle.io.maxRetries spark.shuffle.io.numConnectionsPerPeer spark.shuffle.mapOutput.dispatcher.numThreads
spark.shuffle.registration.maxAttempts spark.shuffle.sort.bypassMergeThreshold
spark.stage.maxAttempts spark.stage.maxConsecutiveAttempts
spark.storage.decommission.shuffleBlocks.maxThreads spark.storage.maxReplicationFailures
spark.task.cpus spark.task.maxFailures
spark.ui.retainedDeadExecutors spark.ui.retainedJobs spark.ui.retainedStages spark.ui.retainedTasks
spark.sql.adaptive.coalescePartitions.initialPartitionNum spark.sql.adaptive.coalescePartitions.minPartitionNum
spark.sql.addPartitionInBatch.size
spark.sql.analyzer.maxIterations
spark.sql.bucketing.coalesceBucketsInJoin.maxBucketRatio
spark.sql.cartesianProductExec.buffer.in.memory.threshold spark.sql.cartesianProductExec.buffer.spill.threshold
spark.sql.cbo.joinReorder.dp.threshold
spark.sql.codegen.aggregate.fastHashMap.capacityBit spark.sql.codegen.hugeMethodLimit
spark.sql.codegen.logging.maxLines spark.sql.codegen.maxFields spark.sql.codegen.methodSplitThreshold
spark.sql.debug.maxToStringFields
spark.sql.execution.broadcastHashJoin.outputPartitioningExpandLimit
spark.sql.execution.rangeExchange.sampleSizePerPartition spark.sql.execution.topKSortFallbackThreshold
spark.sql.files.maxPartitionNum spark.sql.files.minPartitionNum
spark.sql.inMemoryColumnarStorage.batchSize
spark.sql.leafNodeDefaultParallelism
spark.sql.limit.initialNumPartitions spark.sql.limit.scaleUpFactor
spark.sql.maxMetadataStringLength spark.sql.maxPlanStringLength
spark.sql.objectHashAggregate.sortBased.fallbackThreshold
spark.sql.optimizer.inSetConversionThreshold spark.sql.optimizer.inSetSwitchThreshold spark.sql.optimizer.maxIterations
spark.sql.optimizer.runtime.bloomFilter.expectedNumItems spark.sql.optimizer.runtime.bloomFilter.maxNumBits
spark.sql.optimizer.runtime.bloomFilter.maxNumItems spark.sql.optimizer.runtime.bloomFilter.numBits
spark.sql.optimizer.runtimeFilter.number.threshold spark.sql.optimizer.windowGroupLimitThreshold
spark.sql.parquet.columnarReaderBatchSize spark.sql.parquet.pushdown.inFilterThreshold
spark.sql.pivotMaxValues
spark.sql.sessionWindow.buffer.in.memory.threshold spark.sql.sessionWindow.buffer.spill.threshold
spark.sql.shuffle.partitions spark.sql.shuffledHashJoinFactor
spark.sql.sortMergeJoinExec.buffer.in.memory.threshold spark.sql.sortMergeJoinExec.buffer.spill.threshold
spark.sql.sources.bucketing.maxBuckets spark.sql.sources.parallelPartitionDiscovery.parallelism
spark.sql.sources.parallelPartitionDiscovery.threshold
spark.sql.statistics.histogram.numBins spark.sql.statistics.percentile.accuracy
spark.sql.subexpressionElimination.cache.maxEntries
spark.sql.transposeMaxValues
spark.sql.windowExec.buffer.in.memory.threshold spark.sql.windowExec.buffer.spill.threshold
spark.sql.iceberg.compression-level
""",
    "limit": """
spark.sql.cteRecursionLevelLimit spark.sql.cteRecursionRowLimit
""",
    "threshold": """
spark.sql.adaptive.autoBroadcastJoinThreshold spark.sql.autoBroadcastJoinThreshold
spark.sql.inMemoryColumnarStorage.hugeVectorThreshold
""",
    "size": """
spark.broadcast.UDFCompressionThreshold spark.broadcast.blockSize
spark.buffer.pageSize spark.buffer.size
spark.driver.maxResultSize spark.driver.memoryOverhead spark.driver.minMemoryOverhead
spark.executor.memory spark.executor.memoryOverhead spark.executor.minMemoryOverhead spark.executor.pyspark.memory
spark.files.maxPartitionBytes spark.files.openCostInBytes
spark.io.compression.lz4.blockSize spark.io.compression.snappy.blockSize spark.io.compression.zstd.bufferSize
spark.kryoserializer.buffer spark.kryoserializer.buffer.max
spark.memory.offHeap.size
spark.network.maxRemoteBlockSizeFetchToMem
spark.reducer.maxSizeInFlight
spark.shuffle.accurateBlockThreshold spark.shuffle.file.buffer spark.shuffle.file.merge.buffer
spark.shuffle.localDisk.file.output.buffer spark.shuffle.mapOutput.minSizeForBroadcast spark.shuffle.spill.diskWriteBufferSize
spark.shuffle.unsafe.file.output.buffer
spark.storage.decommission.shuffleBlocks.maxDiskSize spark.storage.memoryMapThreshold spark.storage.unrollMemoryThreshold
spark.task.maxDirectResultSize
spark.sql.adaptive.advisoryPartitionSizeInBytes
spark.sql.adaptive.coalescePartitions.minPartitionSize spark.sql.adaptive.maxShuffledHashJoinLocalMapThreshold
spark.sql.adaptive.shuffle.targetPostShuffleInputSize spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes
spark.sql.cartesianProductExec.buffer.spill.size.threshold
spark.sql.defaultSizeInBytes
spark.sql.files.maxPartitionBytes spark.sql.files.openCostInBytes
spark.sql.maxBroadcastTableSize spark.sql.maxSinglePartitionBytes
spark.sql.optimizer.runtime.bloomFilter.applicationSideScanSizeThreshold
spark.sql.optimizer.runtime.bloomFilter.creationSideThreshold
spark.sql.sessionWindow.buffer.spill.size.threshold spark.sql.sortMergeJoinExec.buffer.spill.size.threshold
spark.sql.windowExec.buffer.spill.size.threshold
spark.sql.iceberg.advisory-partition-size
spark.sql.iceberg.executor-cache.max-entry-size spark.sql.iceberg.executor-cache.max-total-size
""",
    "duration": """
spark.cleaner.periodicGC.interval
spark.dynamicAllocation.cachedExecutorIdleTimeout spark.dynamicAllocation.executorIdleTimeout
spark.dynamicAllocation.schedulerBacklogTimeout spark.dynamicAllocation.shuffleTracking.timeout
spark.dynamicAllocation.sustainedSchedulerBacklogTimeout
spark.excludeOnFailure.timeout
spark.executor.decommission.forceKillTimeout spark.executor.decommission.killInterval spark.executor.failuresValidityInterval
spark.executor.heartbeatInterval spark.executor.metrics.pollingInterval
spark.locality.wait spark.locality.wait.node spark.locality.wait.process spark.locality.wait.rack
spark.network.timeout spark.network.timeoutInterval
spark.rpc.askTimeout spark.rpc.lookupTimeout
spark.scheduler.excludeOnFailure.unschedulableTaskSetTimeout spark.scheduler.maxRegisteredResourcesWaitingTime
spark.shuffle.io.connectionTimeout spark.shuffle.io.retryWait spark.shuffle.registration.timeout
spark.speculation.interval spark.speculation.minTaskRuntime spark.speculation.task.duration.threshold
spark.storage.blockManagerHeartbeatTimeoutMs spark.storage.blockManagerTimeoutIntervalMs
spark.task.reaper.killTimeout spark.task.reaper.pollingInterval
spark.sql.broadcastTimeout
spark.sql.iceberg.executor-cache.timeout
""",
    "fraction": """
spark.driver.memoryOverheadFactor
spark.dynamicAllocation.executorAllocationRatio
spark.executor.memoryOverheadFactor
spark.memory.fraction spark.memory.storageFraction
spark.scheduler.minRegisteredResourcesRatio
spark.speculation.efficiency.longRunTaskFactor spark.speculation.efficiency.processRateMultiplier
spark.speculation.multiplier spark.speculation.quantile
spark.sql.adaptive.nonEmptyPartitionRatioForBroadcastJoin spark.sql.adaptive.rebalancePartitionsSmallPartitionFactor
spark.sql.adaptive.skewJoin.skewedPartitionFactor
spark.sql.cbo.joinReorder.card.weight spark.sql.cbo.starJoinFTRatio
spark.sql.inMemoryColumnarStorage.hugeVectorReserveRatio
spark.sql.optimizer.dynamicPartitionPruning.fallbackFilterRatio
spark.sql.sources.fileCompressionFactor spark.sql.statistics.ndv.maxError
""",
    "column": """
spark.sql.columnNameOfCorruptRecord
""",
}

_REBASE = ("exception", "legacy", "corrected")

#: Setting -> its values, in small letters; their case does not matter.
_CHOICES = {
    "spark.io.compression.codec": ("lz4", "lzf", "snappy", "zstd"),
    "spark.shuffle.checksum.algorithm": ("adler32", "crc32", "crc32c"),
    "spark.sql.avro.datetimeRebaseModeInRead": _REBASE,
    "spark.sql.codegen.factoryMode": ("fallback", "codegen_only", "no_codegen"),
    "spark.sql.defaultCacheStorageLevel": ("memory_and_disk", "memory_only", "disk_only", "memory_and_disk_ser"),
    "spark.sql.iceberg.compression-codec": ("zstd", "gzip", "snappy", "lz4", "uncompressed"),
    "spark.sql.iceberg.data-planning-mode": ("auto", "local", "distributed"),
    "spark.sql.iceberg.delete-planning-mode": ("auto", "local", "distributed"),
    "spark.sql.iceberg.distribution-mode": ("none", "hash", "range"),
    "spark.sql.legacy.timeParserPolicy": _REBASE,
    "spark.sql.mapKeyDedupPolicy": ("exception", "last_win"),
    "spark.sql.parquet.datetimeRebaseModeInRead": _REBASE,
    "spark.sql.parquet.int96RebaseModeInRead": _REBASE,
}

#: Setting -> the regular expression that its whole value has to match, whatever the case of its letters.
ALLOWED: dict[str, str] = {
    **{name: KINDS[kind] for kind, names in _BY_KIND.items() for name in names.split()},
    **{name: "|".join(values) for name, values in _CHOICES.items()},
}

#: What a value of a kind looks like, for people.
SHAPES = {
    KINDS["truth"]: "true or false",
    KINDS["number"]: "a whole number",
    KINDS["limit"]: "a whole number, or -1 for none",
    KINDS["size"]: "a size such as 64m or 1g",
    KINDS["threshold"]: "a size such as 64m, or -1 for none",
    KINDS["duration"]: "a time such as 30s or 5min",
    KINDS["fraction"]: "a number such as 0.6",
    KINDS["column"]: "a column's name",
}
