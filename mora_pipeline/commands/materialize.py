"""`mora materialize`: run a region's chain."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mora_pipeline.contract.errors import UserError


@click.command()
@click.argument("region")
@click.option("--select", metavar="ASSETS", help="Only these assets: names with commas, or Dagster's syntax.")
@click.option(
    "--config", "config_file", type=click.Path(path_type=Path, dir_okay=False), help="Dagster run config, as YAML."
)
@click.option("--set", "assignments", multiple=True, metavar="ASSET.KEY=VALUE", help="One setting; may be repeated.")
@click.option("--force", is_flag=True, help="Make also what has not changed since it was made.")
@click.option(
    "--encoder",
    metavar="OTHER",
    help="Embed by the encoder of region OTHER (preset mora or inductive): the embeddings are not trained.",
)
def materialize(
    region: str,
    select: str | None,
    config_file: Path | None,
    assignments: tuple[str, ...],
    force: bool,
    encoder: str | None,
) -> None:
    """Make everything of REGION: cells, graph, features, embeddings, benchmark and distilled encoder.

    What has not changed stays as it is: the code, the settings, region.yaml, the raw files and what else it is made
    from. If something has, the run is recorded where the Dagster UI shows it (mora dev). Ends with 1 if a step fails.

    \b
    Examples:
      mora materialize us_east
      mora materialize us_east --select benchmark
      mora materialize us_east --select embeddings+        (and all that is made from them)
      mora materialize us_east --set embeddings.units=512 --set line_vectors.seed=1
      mora materialize us_east --config settings.yaml
      mora materialize us_east --force
      mora materialize us_east --set embeddings.preset=paper --set embeddings.paper.layers=1
      mora materialize us_west --encoder us_east           (vectors in the space of us_east)
    """
    from mora_pipeline.commands.execution import run_region
    from mora_pipeline.commands.hints import hint_after
    from mora_pipeline.commands.instance import end_dead_runs_if_any
    from mora_pipeline.commands.run_config import assign, run_config
    from mora_pipeline.commands.unchanged import unchanged_steps

    config = run_config(config_file, assignments)
    if encoder:
        assign(config, "embeddings", ["encoder"], encoder, f"--encoder {encoder}")
        check_encoder(region, config["ops"]["embeddings"]["config"], select)
    end_dead_runs_if_any()
    if not force and (unchanged := unchanged_steps(region, select, config)):
        click.echo("\n".join(f"{step}: {reason}" for step, reason in unchanged.items()))
        click.echo(f"Nothing to do for {region}. Make it anew all the same: mora materialize {region} --force")
        return
    if not run_region(region, select, config, force=force):
        sys.exit(1)
    click.echo(hint_after(region, select))


def check_encoder(region: str, embeddings: Mapping[str, Any], select: str | None = None) -> None:
    """Say before anything long begins that another region's encoder does not fit.

    Args:
        embeddings: the run config of the embeddings, with `encoder`.

    Raises:
        UserError: if it has none, region.yaml differs in what the encoder asks for, or no embeddings are selected.
    """
    from mora_pipeline.commands.selection import selected_assets
    from mora_pipeline.contract.names import checked_region_name
    from mora_pipeline.lake import Lake
    from mora_pipeline.lake.registry import Registry
    from mora_pipeline.presets.registry import DECLARED, choose

    config, encoder = Registry.at_home().load(region), checked_region_name(embeddings["encoder"])
    lake = Lake.at_home()
    choose(embeddings.get("preset", DECLARED), encoder, config, lake).preset.check_declared(config, encoder, lake)
    if select and all(key.to_user_string() != "embeddings" for key in selected_assets(select)):
        raise UserError(
            f"--encoder {encoder} is about the asset `embeddings`, which --select {select} leaves out. Add it "
            f"(--select {select},embeddings), or leave --encoder away."
        )
