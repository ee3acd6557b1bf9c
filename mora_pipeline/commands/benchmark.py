"""`mora benchmark` and `mora ablate`: score a region's vectors, and show the scores."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mora_pipeline.lake import Lake
    from mora_pipeline.region import RegionConfig

SETTINGS = click.option("--set", "assignments", multiple=True, metavar="KEY=VALUE", help="One setting; repeatable.")


@click.command()
@click.argument("region")
@click.option("--run", is_flag=True, help="Run it again first, from the current embeddings.")
@click.option(
    "--full",
    is_flag=True,
    help="With --run: every method, every protocol and five seeds (breadth=full), in place of the nightly choice.",
)
@click.option(
    "--report",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Write the whole report as one page; default: REGION.html here.",
)
@SETTINGS
def benchmark(region: str, run: bool, full: bool, report: str | None, assignments: tuple[str, ...]) -> None:
    """Print how well each method's vectors predict REGION's tasks, as Markdown.

    What was fitted before for the same data is not fitted again; a run that was stopped goes on.

    \b
    Examples:
      mora benchmark us_east
      mora benchmark us_east --run --full
      mora benchmark us_east --run --set "protocols=[paper, blocked, few_shot]" --set "files={mine: mine.parquet}"
      mora benchmark us_east --report
    """
    from mora_pipeline.commands.execution import run_region
    from mora_pipeline.contract.errors import UserError

    if (full or assignments) and not run:
        raise UserError("--full and --set change how vectors are scored: say --run with them.")
    if run and not run_region(region, "benchmark", _config("benchmark", full, assignments)):
        sys.exit(1)
    click.echo(benchmark_table(region))
    if report is not None:
        from mora_pipeline.contract.files import replace_file

        page = Path(report or f"{region}.html")
        page.parent.mkdir(parents=True, exist_ok=True)
        replace_file(page, benchmark_page(region))
        click.echo(f"Wrote {page}")


@click.command()
@click.argument("region")
@SETTINGS
def ablate(region: str, assignments: tuple[str, ...]) -> None:
    """Train the preset paper on REGION with one thing changed at a time, score each, and print the effects as Markdown.

    Families: anchor, modalities, graph, sampling, start, layers, dimension, temperature, scaling, seed. Each variant is
    a run in MLflow. What was trained before for the same data is kept: an ablation that was stopped goes on.

    \b
    Examples:
      mora ablate us_counties
      mora ablate us_east --set "families=[graph, anchor]" --set alignment_epochs=50
      mora ablate us_east --set "families=[graph]" --set 'variants=["graph: neighbours"]'
    """
    from mora_pipeline.commands.execution import run_region
    from mora_pipeline.evaluation.report.ablations import ablation_markdown
    from mora_pipeline.lake import Lake

    if not run_region(region, None, _config("ablations", False, assignments), job="ablate_region"):
        sys.exit(1)
    made = Lake.at_home().read("ablations", region)
    click.echo(ablation_markdown(made.table(), made.details["modalities"]))


def benchmark_table(region: str) -> str:
    """The current benchmark as Markdown.

    Raises:
        UserError: if there is none.
    """
    from mora_pipeline.evaluation.report.data import tables_from_lake
    from mora_pipeline.evaluation.report.markdown import markdown_report

    return markdown_report(tables_from_lake(*_with_benchmark(region)))


def benchmark_page(region: str) -> str:
    """The report of the current benchmark as HTML, with a map of the embeddings.

    Raises:
        UserError: if there is no benchmark.
    """
    from mora_pipeline.evaluation.report.data import from_lake
    from mora_pipeline.evaluation.report.page import report_html

    return report_html(from_lake(*_with_benchmark(region)))


def _with_benchmark(region: str) -> "tuple[Lake, RegionConfig]":
    """The lake, and a region that has a benchmark there."""
    from mora_pipeline.contract.names import checked_region_name
    from mora_pipeline.lake import Lake
    from mora_pipeline.lake.registry import Registry

    lake = Lake.at_home()
    lake.read("benchmark", checked_region_name(region))  # missing, it is reported before the region is
    return lake, Registry.at_home().load(region)


def _config(asset: str, full: bool, assignments: tuple[str, ...]) -> dict[str, Any]:
    """Run config of one asset from its settings."""
    from mora_pipeline.commands.run_config import run_config
    from mora_pipeline.contract.errors import UserError
    from mora_pipeline.evaluation.protocol.parameters import FULL

    for assignment in assignments:
        if not assignment.partition("=")[2]:
            raise UserError(f"--set {assignment}: write KEY=VALUE, for example seeds=[42, 43]")
    config = run_config(None, [f"{asset}.{assignment}" for assignment in assignments])
    if full:
        own = config.setdefault("ops", {}).setdefault(asset, {}).setdefault("config", {})
        own.setdefault("breadth", FULL)
    return config
