"""Wall time and peak memory of every asset of a region, as its latest materialisation measured them.

python -m benchmarks.assets us_east   # after mora materialize us_east
The table is Markdown; the last line is JSON: {asset: [seconds, GiB]}.
"""
# ruff: noqa: T201 - a command prints

import argparse
import json

import dagster as dg

from mora_pipeline.commands.instance import dagster_instance
from mora_pipeline.definitions import defs


def costs(instance: dg.DagsterInstance, region: str) -> dict[str, tuple[float, float]]:
    """Seconds and GiB of each asset that was materialised, in the order of their dependencies."""
    graph = defs.resolve_asset_graph()
    costs_by_asset: dict[str, tuple[float, float]] = {}
    for key in graph.toposorted_asset_keys:
        wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[region])
        records = instance.fetch_materializations(wanted, limit=1).records
        if records and records[0].asset_materialization:
            metadata = records[0].asset_materialization.metadata
            if "seconds" in metadata and "peak_memory_gib" in metadata:
                numbers = [float(str(metadata[name].value)) for name in ("seconds", "peak_memory_gib")]
                costs_by_asset[key.to_user_string()] = (numbers[0], numbers[1])
    return costs_by_asset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("region")
    region = parser.parse_args().region
    with dagster_instance() as instance:
        costs_by_asset = costs(instance, region)
    if not costs_by_asset:
        parser.error(f"nothing of '{region}' was materialised here: mora materialize {region}")
    print("| asset | seconds | peak GiB |\n|---|---:|---:|")
    for name, (seconds, peak) in costs_by_asset.items():
        print(f"| {name} | {seconds:.1f} | {peak:.2f} |")
    print(f"| all, one after the other | {sum(seconds for seconds, _ in costs_by_asset.values()):.0f} | |")
    print(json.dumps(costs_by_asset))


if __name__ == "__main__":
    main()
