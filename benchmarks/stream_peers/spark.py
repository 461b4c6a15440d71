"""Spark Structured Streaming over a topic of pings; runs in its own environment.

``.venv-spark/bin/python -m benchmarks.stream_peers.spark '{"bootstrap": …, "topic": …, "results": …}'`` reads all
that the topic holds, counts and averages each driver's speed in windows, writes the rows as Parquet, and prints one
JSON line. The keys of the object are those of `Asked`.

A window's row is written again by each micro-batch that changes it (output mode "update"), as an online store would
want it: the row with the greatest `batch` holds. Mode "append" writes only windows that the watermark has closed.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from benchmarks.stream_peers.used import family_cpu_seconds, family_peak_rss_mb

HOME: Final = Path(sys.prefix)
SCHEMA: Final = "event_id STRING, driver_id INT, ts TIMESTAMP, lat DOUBLE, lon DOUBLE, speed_mps DOUBLE, status STRING"
SETTINGS: Final = {
    "spark.ui.enabled": "false",
    "spark.driver.host": "127.0.0.1",
    "spark.driver.bindAddress": "127.0.0.1",
    "spark.driver.extraJavaOptions": "-XX:+UseParallelGC",
    "spark.log.level": "ERROR",
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.shuffle.partitions": "2",
    "spark.sql.sources.parallelPartitionDiscovery.parallelism": "4",
    "spark.sql.streaming.stateStore.providerClass":
        "org.apache.spark.sql.execution.streaming.state.RocksDBStateStoreProvider",
    "spark.sql.streaming.stateStore.rocksdb.changelogCheckpointing.enabled": "true",
    "spark.databricks.delta.snapshotPartitions": "2",
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """What to run.

    Parameters
    ----------
    bootstrap, topic, results : str
        Where from; the folder to write to.
    size, hop : str
        Of the windows; equal for tumbling ones.
    delay : str
        Of the watermark.
    mode : str
        "update" or "append".
    sink : str
        "parquet", "delta", or "noop", which writes nothing.
    dedupe : bool
        Whether to drop a second ping with an `event_id` within the watermark.
    batch_events : int
        Of a micro-batch; 0 for all in one.
    warm_offsets : mapping of str to int
        From where, by partition, a first run reads that is not measured; none for a cold start.
    cores, memory : str
        Of the session.
    settings : mapping
        Further ones of the session.
    """

    bootstrap: str
    topic: str
    results: str
    size: str = "5 minutes"
    hop: str = "30 seconds"
    delay: str = "10 seconds"
    mode: str = "update"
    sink: str = "parquet"
    dedupe: bool = False
    batch_events: int = 1_000_000
    warm_offsets: dict[str, int] = field(default_factory=dict)
    cores: str = "2"
    memory: str = "2g"
    settings: dict[str, str] = field(default_factory=dict)


def main(asked: Asked) -> dict[str, Any]:
    """Run it; what to print."""
    began = time.perf_counter()
    spark = _session(asked)
    session_seconds = time.perf_counter() - began
    with tempfile.TemporaryDirectory(prefix="headrace-spark-") as folder:
        if asked.warm_offsets:
            _run(spark, asked, Path(folder) / "warm", json.dumps({asked.topic: asked.warm_offsets}))
        shutil.rmtree(asked.results, ignore_errors=True)
        began, cpu_began = time.perf_counter(), family_cpu_seconds()
        progress = _run(spark, asked, Path(folder) / "run", "earliest")
        seconds, cpu_seconds = time.perf_counter() - began, family_cpu_seconds() - cpu_began
    said = {
        "peer": f"spark {spark.version}", "events": sum(p["numInputRows"] for p in progress), "seconds": seconds,
        "cpu_seconds": cpu_seconds, "peak_rss_mb": family_peak_rss_mb(), "warm": bool(asked.warm_offsets),
        "session_seconds": session_seconds, "batches": sum(p["numInputRows"] > 0 for p in progress),
        "state_rows": max(o["numRowsTotal"] for o in progress[-1]["stateOperators"]),
        "size": asked.size, "hop": asked.hop, "mode": asked.mode, "sink": asked.sink, "dedupe": asked.dedupe,
        "late_rows": sum(o["numRowsDroppedByWatermark"] for p in progress for o in p["stateOperators"]),
    }  # fmt: skip
    spark.stop()
    return said


def _session(asked: Asked) -> Any:
    from pyspark.sql import SparkSession  # type: ignore[import-not-found]

    builder = SparkSession.builder.master(f"local[{asked.cores}]").appName("headrace-bench-stream")
    settings = {**SETTINGS, "spark.driver.memory": asked.memory, "spark.driver.extraClassPath": _class_path()}
    for name, value in {**settings, **asked.settings}.items():
        builder = builder.config(name, value)
    return builder.getOrCreate()


def _class_path() -> str:
    """The jars that Maven brought, but for those that pyspark ships."""
    import pyspark  # type: ignore[import-not-found]

    shipped = {_name(jar) for jar in (Path(pyspark.__file__).parent / "jars").glob("*.jar")}
    ours = [jar for jar in sorted((HOME / "jars").glob("*.jar")) if _name(jar) not in shipped]
    return ":".join(str(jar) for jar in ours if not jar.name.startswith(("slf4j", "log4j")))


def _name(jar: Path) -> str:
    return jar.stem.rpartition("-")[0]


def _run(spark: Any, asked: Asked, folder: Path, since: str) -> list[Any]:
    query = _sink(_windows(spark, asked, since), asked, folder).trigger(availableNow=True)
    running = query.option("checkpointLocation", str(folder / "checkpoint")).outputMode(asked.mode).start()
    running.awaitTermination()
    return list(running.recentProgress)


def _windows(spark: Any, asked: Asked, since: str) -> Any:
    from pyspark.sql import functions as F  # noqa: N812

    kafka = {"kafka.bootstrap.servers": asked.bootstrap, "subscribe": asked.topic, "startingOffsets": since}
    if asked.batch_events:
        kafka["maxOffsetsPerTrigger"] = str(asked.batch_events)
    received = spark.readStream.format("kafka").options(**kafka).load()
    pings = received.select(F.from_json(received.value.cast("string"), SCHEMA).alias("ping")).select("ping.*")
    pings = pings.withWatermark("ts", asked.delay)
    if asked.dedupe:
        pings = pings.dropDuplicatesWithinWatermark(["event_id"])
    hop = None if asked.hop == asked.size else asked.hop
    found = pings.groupBy("driver_id", F.window("ts", asked.size, hop).alias("window"))
    rows = found.agg(F.count("*").alias("count"), F.avg("speed_mps").alias("mean"))
    return rows.select("driver_id", F.col("window.end").alias("window_end"), "count", "mean")


def _sink(rows: Any, asked: Asked, folder: Path) -> Any:
    if asked.sink == "noop":
        return rows.writeStream.format("noop")
    results = asked.results if folder.name == "run" else str(folder / "rows")
    return rows.writeStream.foreachBatch(_writer(asked.sink, results))


def _writer(sink: str, results: str) -> Callable[[Any, int], None]:
    from pyspark.sql import functions as F  # noqa: N812

    def write(rows: Any, batch: int) -> None:
        marked = rows.withColumn("batch", F.lit(batch)).write.format(sink).mode("append")
        if sink == "delta":  # a repeated batch is skipped
            marked = marked.options(txnAppId="headrace-bench-stream", txnVersion=batch)
        marked.save(results)

    return write


if __name__ == "__main__":
    print(json.dumps(main(Asked(**json.loads(sys.argv[1])))))
