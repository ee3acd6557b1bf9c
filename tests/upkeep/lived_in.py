"""A home in which two regions were made: a real lake, MLflow and Dagster history, with what runs leave beside them."""

import json
from pathlib import Path

import dagster as dg
import pyarrow as pa

from mora_pipeline.commands.instance import REGIONS, dagster_instance
from mora_pipeline.lake import Lake
from mora_pipeline.lake.registry import Registry
from mora_pipeline.tracking import TrackingSettings, connect, tracked_run
from tests.region_yaml import REGION_YAML

REGIONS_MADE = ("town", "city")
CELLS = {"town": [608726199220994047, 608726199338434559], "city": [608692970719444991]}


def live_in(home: Path) -> None:
    """Fill the home that $MORA_HOME names."""
    for region in REGIONS_MADE:
        raw = home / "regions" / region
        raw.mkdir(parents=True)
        (raw / "trips.csv").write_text("a,b,c,d\n40.7,-74.0,40.8,-73.9\n")
        (raw / "region.yaml").write_text(REGION_YAML.format(name=region))
        Registry(home).add(raw)
        _fill_lake(Lake(home / "lake"), region)
        _fill_folders(home, region)
        _track(home, region)
    with dagster_instance() as instance:
        instance.add_dynamic_partitions(REGIONS, list(REGIONS_MADE))
        for region in REGIONS_MADE:
            run_in(instance, region, home)


def run_in(instance: dg.DagsterInstance, region: str, home: Path) -> str:
    """A run of Dagster's that makes one asset of a region; returns its id."""

    @dg.asset(name="edges", partitions_def=dg.DynamicPartitionsDefinition(name=REGIONS))
    def edges(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        path = home / "lake" / "edges" / f"region={context.partition_key}"
        context.log.info(f"made {context.partition_key}")
        return dg.MaterializeResult(metadata={"path": dg.MetadataValue.path(str(path))})

    tags = {"dagster/partition": region, "mora/log": str(home / "logs" / f"{region}-1.log")}
    return dg.materialize([edges], instance=instance, partition_key=region, tags=tags).run_id


def _fill_lake(lake: Lake, region: str) -> None:
    for dataset in ("cells", "edges", "features/poi", "quarantine/edges"):
        for _ in range(2):
            draft = lake.begin(dataset, region)
            draft.write(pa.table({"cell": CELLS[region]}))
            draft.commit()


def _fill_folders(home: Path, region: str) -> None:
    for name, text in (
        (f"logs/{region}-20260101T000000-0123abcd.log", f"materialised {region}"),
        (f"checkpoints/{region}/embeddings/abc.safetensors", "state"),
        (f"cache/mobility/{region}/kept.parquet", "rows"),
        (f"cache/scores/{region}/0123.npz", "scores"),
        (f"cache/vectors/{region}/0123.npz", json.dumps(CELLS[region])),
        ("cache/spark-classes-0123-4.jsa", "java"),
    ):
        file = home / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def _track(home: Path, region: str, versions: int = 2) -> None:
    settings = TrackingSettings.of(home)
    client, name = connect(settings), f"mora_{region}"
    client.create_registered_model(name)
    weights = home / "weights.json"
    for number in range(versions):
        weights.write_text(json.dumps({"number": number}))
        with tracked_run(settings, region, "distilled_encoder", {"number": number}, {"cells": "v"}) as run:
            run.file(weights)
            run.metrics({"loss": 0.1})
            source = client.get_run(run.run_id).info.artifact_uri
        client.create_model_version(name, source, run.run_id)
    weights.unlink()
    client.set_registered_model_alias(name, "champion", "1")
