"""Texts at points, such as POIs."""

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from mora_pipeline.contract.schemas import TEXT_CELLS, CellVectors
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.modalities.encoder import Progress
from mora_pipeline.modalities.interface import ModalityKind
from mora_pipeline.modalities.text.config import TextModality
from mora_pipeline.raw.rule_sets import TEXT_ROLES, located_roles, located_rules, text_rules
from mora_pipeline.region import RegionConfig
from mora_pipeline.region.columns import Checker, InputFile
from mora_pipeline.region.jobs import places_source, source_of
from mora_pipeline.region.samples import RawTableRules, located_table


class TextKind(ModalityKind[TextModality]):
    """Counted by cell in Spark; each distinct text is encoded once, and a cell's vector is their mean."""

    name = "text"
    config = TextModality
    cells_schema = TEXT_CELLS
    cells_about = """How often each distinct text is in each cell, for every text modality.

    Source: the region's text modalities. Written by the Spark job `grid_text` into `texts/<modality>` and
    `text_cells/<modality>`; bad rows into `quarantine/text_cells`.
    """
    features_about = """Text vectors: each distinct text is encoded once, a cell's vector is the count-weighted mean.

    How many texts of each category a cell has is in `amounts/<modality>`.

    Source: `texts/*` and `text_cells/*`; the encoder is the modality's in region.yaml.
    """
    job = "spark_jobs.grid_text"
    job_outputs = {"texts": "texts", "text_cells": "text_cells"}  # noqa: RUF012
    cells_checks = ("bad_rows_within_limit",)
    tags = frozenset({"pytorch", "huggingface"})
    uses_gpu = True

    def check_files(self, checker: Checker, key: str, config: TextModality) -> None:
        checker.columns(f"{key}.columns", f"{key}.path", config, config.columns.roles())

    def raw_rules(self, key: str, config: TextModality, heads: list[InputFile]) -> RawTableRules:
        roles = config.columns.roles()
        rules = [*located_rules(roles), *text_rules(roles)]
        kinds = {**TEXT_ROLES, **located_roles(roles)}
        return located_table(key, config, heads, roles, kinds, rules, "count")

    def job_parameters(self, region: RegionConfig, name: str, config: TextModality) -> dict[str, Any]:
        return {
            "source": source_of(region, config, config.columns.roles()),
            "places": places_source(region) if config.columns.place else None,
            "resolution": region.resolution,
            "maximum_bad_share": config.maximum_bad_share,
        }

    def encode(self, reader: RegionReader, name: str, config: TextModality, progress: Progress) -> CellVectors:
        from mora_pipeline.modalities.text.encoding import encode_text_cells, make_text_encoder

        texts, counts = _in_region(reader, name)
        return encode_text_cells(
            texts, counts, make_text_encoder(config.encoder, reader.config.base_of(config.encoder)), progress
        )

    def amounts(self, reader: RegionReader, name: str, config: TextModality) -> pa.Table:
        from mora_pipeline.modalities.text.amounts import text_amounts

        texts, counts = _in_region(reader, name)
        return text_amounts(texts, counts, reader.cells())


def _in_region(reader: RegionReader, name: str) -> tuple[pa.Table, pa.Table]:
    """The texts of the region's cells, and how often each is in which."""
    texts, counts = reader.read(f"texts/{name}").table(), reader.in_region(f"text_cells/{name}")
    return texts.filter(pc.is_in(texts["text_id"], pc.unique(counts["text_id"]))), counts


KIND = TextKind()
