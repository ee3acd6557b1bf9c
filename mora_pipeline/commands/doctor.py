"""`mora doctor`: what is wrong with the machine, the home and the services, and how to mend each."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from mora_pipeline.commands.health.finding import Finding


@click.command()
@click.option("--verify", is_flag=True, help="Read every byte of the lake and compare it with what was committed.")
@click.option("--deep", is_flag=True, help="Start Spark as well, which takes some ten seconds.")
@click.option("--json", "as_json", is_flag=True, help="Everything as a JSON list.")
def doctor(verify: bool, deep: bool, as_json: bool) -> None:
    """Look at Java, Spark, GPU, memory, disks, weights, packages, the home, lake, history, daemon, MLflow and alerts.

    Each line says ok, warn or bad, and how to mend it. Ends with 1 if one is bad.

    \b
    Examples:
      mora doctor
      mora doctor --deep --verify
      mora doctor --json
    """
    from mora_pipeline.lake import mora_home

    findings = []
    for finding in examine(mora_home(), verify, deep):
        findings.append(finding)
        if not as_json:
            click.echo(f"{finding.level:<4}  {finding.name}: {finding.text}")
            if finding.mend:
                click.echo(f"      mend it: {finding.mend}")
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=2))
    if any(finding.level == "bad" for finding in findings):
        sys.exit(1)


def examine(home: Path, verify: bool = False, deep: bool = False) -> "Iterator[Finding]":
    """Everything that is looked at, one after the other."""
    from mora_pipeline.commands.health import home as held
    from mora_pipeline.commands.health import machine

    yield machine.java()
    if deep:
        yield machine.spark()
    yield machine.gpu()
    yield machine.memory()
    yield from machine.disks(home)
    yield machine.permissions(home)
    yield from machine.weights()
    yield machine.packages()
    format_of_home = held.home_format(home)
    yield format_of_home
    if format_of_home.level != "bad":
        yield from held.lake(home, verify)
        yield from held.regions(home)
        yield from held.scheduler(home)
        yield held.mlflow(home)
    yield held.alerts(home)
