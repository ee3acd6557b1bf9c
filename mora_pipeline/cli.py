"""The `mora` command: regions in, embeddings and benchmarks out. Each command's work is in `mora_pipeline.commands`."""

import click

from mora_pipeline.commands.alert import alert
from mora_pipeline.commands.backfill import backfill, nightly
from mora_pipeline.commands.backup import backup, restore_backup
from mora_pipeline.commands.base import MoraGroup
from mora_pipeline.commands.benchmark import ablate, benchmark
from mora_pipeline.commands.demo import demo
from mora_pipeline.commands.dev import dev
from mora_pipeline.commands.doctor import doctor
from mora_pipeline.commands.embed import embed
from mora_pipeline.commands.lake import lake
from mora_pipeline.commands.materialize import materialize
from mora_pipeline.commands.metrics import metrics
from mora_pipeline.commands.prune import prune
from mora_pipeline.commands.region import region
from mora_pipeline.commands.status import status
from mora_pipeline.commands.webserver import webserver
from mora_pipeline.contract import json_logs


@click.group(cls=MoraGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="mora-pipeline")
def main() -> None:
    """Mobility, POIs, imagery and demographics in; one vector per H3 cell out.

    All that a run makes is stored under $MORA_HOME (default: .mora in the current folder).

    \b
    The whole of it on a small synthetic city:
      mora demo
    Your own region:
      mora region add regions/us_east/region.yaml
      mora materialize us_east
      mora benchmark us_east
      mora embed us_east 40.7128,-74.0060
    In the browser, with schedules, sensors and backfills:
      mora dev
    """
    json_logs.set_up()


for command in (status, doctor, alert, metrics, prune, backup, restore_backup):
    main.add_command(command)
for command in (region, materialize, backfill, nightly, benchmark, ablate, embed, lake, dev, webserver, demo):
    main.add_command(command)


if __name__ == "__main__":
    main()
