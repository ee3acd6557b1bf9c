"""The definitions as Dagster sees them."""

import subprocess
import sys
from pathlib import Path
from typing import get_args

import dagster as dg
import pytest
import yaml

from mora_pipeline.definitions import defs

PROJECT = Path(__file__).resolve().parents[2]
GROUPS = {
    "raw": {"raw_files"},
    "grid": {"edges", "text_cells", "table_cells", "cells", "image_cells", "raster_cells"},
    "graph": {"graph"},
    "features": {"text_features", "image_features", "table_features", "raster_features"},
    "embeddings": {"line_vectors", "embeddings", "distilled_encoder"},
    "evaluation": {"benchmark", "champion"},
}


def assets() -> list[dg.AssetsDefinition]:
    return [item for item in defs.assets or [] if isinstance(item, dg.AssetsDefinition)]


def test_loading_the_definitions_imports_no_heavy_library() -> None:
    heavy = ["torch", "pyspark", "dgl", "mlflow", "lightgbm", "sklearn", "matplotlib", "sentence_transformers"]
    script = f"import sys; import mora_pipeline.definitions; print([name for name in {heavy} if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True)
    assert told.stdout.decode().strip() == "[]", told.stderr.decode()
    assert b"Warning" not in told.stderr


def test_the_definitions_load_as_a_code_location() -> None:
    dg.Definitions.validate_loadable(defs)


def test_every_asset_is_in_its_group_partitioned_by_region_and_described() -> None:
    groups: dict[str, set[str]] = {}
    for asset in assets():
        for spec in asset.specs:
            groups.setdefault(str(spec.group_name), set()).add(spec.key.to_user_string())
            assert isinstance(spec.partitions_def, dg.DynamicPartitionsDefinition)
            assert spec.partitions_def.name == "regions"
            assert "Source:" in str(spec.description)
            assert spec.kinds
    assert groups == GROUPS


def test_everything_that_reaches_the_lake_is_behind_a_blocking_check_and_lists_its_columns() -> None:
    for asset, key in [(owner, key) for owner in assets() for key in owner.keys]:
        name = key.to_user_string()
        if name in {"raw_files", "champion"}:
            continue
        specs = [spec for spec in asset.check_specs if spec.asset_key == key]
        assert specs, name
        assert all(spec.blocking or spec.name == "cells_familiar" for spec in specs), name  # which only warns
        assert all(spec.description for spec in specs), name
        assert "dagster/column_schema" in asset.metadata_by_key[key], name


@pytest.mark.parametrize(("pool", "members"), [("spark", 5), ("gpu", 5)])
def test_spark_and_torch_take_turns(pool: str, members: int) -> None:
    assert sum(len(asset.keys) for asset in assets() if asset.op.pool == pool) == members


def test_one_step_of_a_run_makes_all_that_spark_makes_and_any_part_of_it() -> None:
    (grid,) = [asset for asset in assets() if asset.op.pool == "spark"]
    assert grid.op.name == "grid"
    assert grid.can_subset
    graph = defs.resolve_asset_graph()
    depends = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys} for key in grid.keys
    }
    raw = {name: {"raw_files"} for name in ("edges", "text_cells", "table_cells")}
    assert depends == {**raw, "graph": {"edges"}, "cells": {"edges", "text_cells", "table_cells"}}


def test_the_main_job_makes_every_asset_of_a_region() -> None:
    job = defs.resolve_job_def("materialize_region")
    names = {key.to_user_string() for key in job.asset_layer.selected_asset_keys}
    assert names == set().union(*GROUPS.values())


def test_ablations_have_a_job_of_their_own_and_no_button_of_the_ui_or_backfill_makes_them() -> None:
    """ "Materialize all" and its choice "Missing" take every asset that can be materialized."""
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.materializable_asset_keys} == set().union(*GROUPS.values())
    assert dg.AssetKey("ablations") in graph.external_asset_keys
    job = defs.resolve_job_def("ablate_region")
    assert job.partitions_def == graph.get(dg.AssetKey("edges")).partitions_def
    assert [(node.name, node.definition.pool) for node in job.nodes_in_topological_order] == [("ablations", "gpu")]


def test_dagster_yaml_fits_the_installed_dagster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dagster.yaml").symlink_to(PROJECT / "dagster.yaml")
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    settings = yaml.safe_load((PROJECT / "dagster.yaml").read_text())
    assert settings["run_monitoring"]["free_slots_after_run_end_seconds"] > 0
    with dg.DagsterInstance.get() as instance:
        pools = instance.get_concurrency_config().pool_config
        assert pools.default_pool_limit == 1
        assert str(pools.pool_granularity) == "PoolGranularity.OP"
        assert instance.telemetry_enabled is False
        assert instance.run_monitoring_enabled
    assert (tmp_path / "storage").is_dir() or list(tmp_path.rglob("*.db")), "its history is not in DAGSTER_HOME"


def test_the_workspace_names_the_definitions() -> None:
    workspace = yaml.safe_load((PROJECT / "workspace.yaml").read_text())
    assert workspace["load_from"] == [
        {"python_module": {"module_name": "mora_pipeline.definitions", "attribute": "defs"}}
    ]


def test_every_sampling_strategy_of_the_job_can_be_chosen() -> None:
    from mora_pipeline.contract.sampling import STRATEGIES, make_strategy
    from mora_pipeline.steps.graph import SamplingSettings

    assert set(get_args(SamplingSettings.model_fields["strategy"].annotation)) == set(STRATEGIES)
    for strategy in STRATEGIES:
        make_strategy(SamplingSettings(strategy=strategy).in_use())
