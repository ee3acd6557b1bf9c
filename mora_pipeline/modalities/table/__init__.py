"""Tables of places, such as ages."""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.names import did_you_mean
from mora_pipeline.contract.schemas import CellVectors, table_cells
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.modalities.blocks import Block, standardised
from mora_pipeline.modalities.encoder import Progress
from mora_pipeline.modalities.interface import ModalityKind, Vectors
from mora_pipeline.modalities.table.amounts import table_amounts
from mora_pipeline.modalities.table.config import TableModality
from mora_pipeline.modalities.table.encoding import encode_table_cells
from mora_pipeline.raw.rule_sets import located_roles, located_rules, table_rules
from mora_pipeline.raw.source import NUMBER
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.columns import Checker, InputFile, listed, spread_evenly
from mora_pipeline.region.jobs import places_source, source_of
from mora_pipeline.region.samples import RawTableRules, located_table

if TYPE_CHECKING:
    from torch import nn

HIDDEN = 64  # width of the head's hidden layer (MoRA, released training core)


class TableKind(ModalityKind[TableModality]):
    """Averaged by cell in Spark, so that each group of columns sums to 1; the shares themselves are the vector."""

    name = "table"
    config = TableModality
    cells_schema = table_cells([])
    cells_about = """Histogram shares by cell, for every table modality: a column a bin, a sum of 1 a group of columns.

    Source: the region's table modalities. Written by the Spark job `grid_table` into `table_cells/<modality>`,
    `table_weights/<modality>` (what the places of a cell weigh together) and `table_sums/<modality>` (the sum of each
    bin over them, of groups that are no shares already); bad rows into `quarantine/table_cells`.
    """
    features_about = """Table vectors: the histogram shares of each cell, group after group.

    How much a cell has of each bin, of each group and of the weight is in `amounts/<modality>`; nothing of groups
    that are shares in the raw table.

    Source: `table_cells/*`, `table_sums/*`, `table_weights/*`.
    """
    job = "spark_jobs.grid_table"
    job_outputs = {"weights": "table_weights", "sums": "table_sums", "table_cells": "table_cells"}  # noqa: RUF012
    cells_checks = ("shares_sum_to_one", "bad_rows_within_limit")

    def check_files(self, checker: Checker, key: str, config: TableModality) -> None:
        files = checker.columns(key, f"{key}.path", config, config.roles("place", "weight"))
        if config.columns:
            checker.columns(f"{key}.columns", f"{key}.path", config, config.columns.roles())
        for group, columns in config.expanded_groups(list(files[0].columns)).items():
            globs, group_key = config.groups[group], f"{key}.groups.{group}"
            if not columns:
                near = did_you_mean(globs.split("|")[0].replace("*", ""), files[0].columns)
                raise UserError(
                    f"{checker.name}: {group_key} is '{globs}', which matches no column of {files[0].path.name}; it "
                    f"has {listed(files[0].columns)}.{near}"
                )
            sampled = spread_evenly(files)
            for file in files:
                for column in columns:
                    checker.column(file, group_key, column, number=file in sampled, glob=globs)

    def raw_rules(self, key: str, config: TableModality, heads: list[InputFile]) -> RawTableRules:
        groups = list(config.expanded_groups(list(heads[0].columns)).values())
        bins = {f"bin_{n}": column for n, column in enumerate(column for columns in groups for column in columns)}
        roles = {**self._located(config), **config.roles("weight"), **bins}
        rules = [*located_rules(roles), *table_rules(list(bins), "weight" in roles)]
        kinds = {**located_roles(roles), **dict.fromkeys([*bins, "weight"], NUMBER)}
        table = located_table(key, config, heads, roles, kinds, rules, "weight", once=config.aggregate is None)
        each = iter(bins)
        return replace(table, histograms=[[next(each) for _ in columns] for columns in groups])

    def _located(self, config: TableModality) -> dict[str, str]:
        return config.roles("place") or (config.columns.roles() if config.columns else {})

    def job_parameters(self, region: RegionConfig, name: str, config: TableModality) -> dict[str, Any]:
        roles = self._located(config)
        header = Checker(region.base_of(config), region.file.name).table(f"modalities.{name}.path", config)[0]
        return {
            "source": source_of(region, config, {**roles, **config.roles("weight")}),
            "groups": config.expanded_groups(list(header.columns)),
            "places": places_source(region) if config.place else None,
            "resolution": region.resolution,
            "aggregate": config.aggregate,
            "key": f"modalities.{name}",
            "maximum_bad_share": config.maximum_bad_share,
        }

    def weights_dataset(self, name: str, config: TableModality) -> str | None:
        return f"table_weights/{name}" if config.weight else None

    def encode(self, reader: RegionReader, name: str, config: TableModality, progress: Progress) -> CellVectors:
        return encode_table_cells(reader.in_region(f"table_cells/{name}"))

    def amounts(self, reader: RegionReader, name: str, config: TableModality) -> pa.Table | None:
        sums = reader.in_region(f"table_sums/{name}")
        weights = reader.in_region(f"table_weights/{name}") if config.weight else None
        return table_amounts(sums, weights, config.weight or "")

    def input_columns(self, reader: RegionReader, name: str) -> list[str]:
        return [column for column in reader.read(f"table_cells/{name}").schema if column != "cell"]

    def head(self, input_dimension: int, dimension: int) -> "nn.Module":
        from torch import nn

        return nn.Sequential(nn.Linear(input_dimension, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, dimension))

    def fit_block(self, vectors: Vectors, components: int) -> Block:
        return standardised(vectors)


KIND = TableKind()
