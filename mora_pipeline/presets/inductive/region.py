"""A region as the encoder sees it: its evidence from the lake, and whether an encoder of another region fits it."""

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.lake import Lake, mora_home, opened
from mora_pipeline.lake.reading import RegionReader, edge_rows
from mora_pipeline.lake.registry import Registry
from mora_pipeline.modalities import LoadedModality, kind_of
from mora_pipeline.presets.encoders import preset_in
from mora_pipeline.presets.inductive.amounts import aligned_amounts
from mora_pipeline.presets.inductive.encoder import EncodedCells, RegionEncoder
from mora_pipeline.presets.inductive.flows import flow_feature_names, flow_features, flow_level
from mora_pipeline.presets.inductive.relations import neighbours, partners
from mora_pipeline.presets.inductive.schema import (
    Input,
    Schema,
    check_declared,
    check_features,
    encoder_version,
    listed,
)
from mora_pipeline.presets.inductive.states import AMOUNTS, Evidence, check_finite
from mora_pipeline.presets.registry import preset_of
from mora_pipeline.presets.rhythm import read_rhythm

LARGEST_FLOW_RATIO = 10.0  # between the flows of two regions, beyond which they count something else


def embed_region(region: str, encoder: str, home: Path | None = None) -> CellVectors:
    """Embed a region with the encoder of another one: no training, one forward pass, the other's vector space.

    Args:
        region: a known region whose cells, edges and features are in the lake.
        encoder: the region whose encoder is used.
        home: default: `$MORA_HOME`.

    Returns:
        The region's cells, int64 [N], and their vectors, float32 [N, dimension]. Nothing is committed:
        `mora materialize REGION --encoder OTHER` does that.

    Raises:
        UserError: if there is no such encoder, or it does not fit the region.
    """
    home = opened(home or mora_home())
    reader = RegionReader(Registry(home).load(region), Lake(home / "lake"))
    folder = encoder_version(reader.lake, encoder).path
    name = preset_in(folder)
    load: Callable[[Path], RegionEncoder] | None = getattr(preset_of(name), "load", None)
    if load is None:
        raise UserError(f"The encoder of '{encoder}' is of preset {name}, which embeds other regions by its own code.")
    table, encoded = embed_with(reader, load(folder))
    return CellVectors(table["cell"].to_numpy(), encoded.vectors)


def embed_with(reader: RegionReader, encoder: RegionEncoder) -> tuple[pa.Table, EncodedCells]:
    """A region's `cells`, N rows, and what an encoder gives for them: vectors float32 [N, dimension].

    Its student answers where the region has no mobility.

    Raises:
        UserError: if the encoder does not fit the region, or a feature is not finite.
    """
    schema = encoder.schema
    check_declared(schema, reader.config)
    check_features(schema, schema_of(reader, schema.names, schema.neighbours), reader.config.file)
    table, evidence, scaled = read_scaled(reader, schema)
    check_finite(evidence)
    without_flows = reader.config.mobility is None
    if without_flows and encoder.student is None:
        raise UserError(
            f"{reader.config.file} has no mobility, and the encoder of '{schema.region}' has no student to embed "
            f"cells without flows. Train it again: mora materialize {schema.region} --select embeddings"
        )
    evidence, warnings = in_columns_of(encoder, evidence, reader.region)
    return table, replace(encoder.encode(evidence, without_flows), warnings=(*scaled, *warnings))


def read_scaled(reader: RegionReader, schema: Schema) -> tuple[pa.Table, Evidence, tuple[str, ...]]:
    """`read_evidence` for an encoder, with flows of the size that it knows, and a sentence where they were not.

    Trips of a month are a thousand times the jobs of a place: as they are, every cell would be beyond all bounds.
    """
    table, evidence = read_evidence(reader, schema.names, schema.neighbours)
    level = flow_level(evidence.flows)
    ratio = level / schema.flow_level if level and schema.flow_level else 1.0
    if 1 / LARGEST_FLOW_RATIO <= ratio <= LARGEST_FLOW_RATIO:
        return table, evidence, ()
    sentence = (
        f"Flows of '{reader.region}' are {ratio:.3g} times as large as where the encoder of '{schema.region}' was "
        "fitted (what leaves the middle cell): they were divided by that. If both count the same thing, train an "
        "encoder on a region like this."
    )
    del evidence  # the averages over partners are as large as the flows
    return *read_evidence(reader, schema.names, schema.neighbours, 1 / ratio), (sentence,)


def in_columns_of(encoder: RegionEncoder, evidence: Evidence, region: str) -> tuple[Evidence, tuple[str, ...]]:
    """The evidence of a region with the amounts that an encoder asks for, and a sentence for each difference."""
    modalities, warnings = [], []
    for wanted, own in zip(encoder.schema.modalities, evidence.modalities, strict=True):
        if wanted.amounts == own.amount_names:
            modalities.append(own)
            continue
        mean = encoder.states.blocks[AMOUNTS + own.name].mean if wanted.amounts else np.empty(0, np.float32)
        aligned, extra, unknown = aligned_amounts(own, wanted.amounts, mean)
        modalities.append(aligned)
        whose = f"The encoder of '{encoder.schema.region}'"
        if extra:
            warnings.append(
                f"{whose} has no column for these amounts of {own.name} in '{region}': {listed(extra)}. They count in "
                "its rest, where it has one."
            )
        if unknown:
            warnings.append(
                f"{whose} asks for amounts of {own.name} that '{region}' does not know: {listed(unknown)}. Its own "
                "mean takes their place."
            )
    return replace(evidence, modalities=tuple(modalities)), tuple(warnings)


def read_evidence(
    reader: RegionReader, names: Collection[str], num_neighbours: int, flow_scale: float = 1.0
) -> tuple[pa.Table, Evidence]:
    """A region's `cells`, N rows, and all that an encoder sees of them, in [N, …] arrays of the same order.

    Args:
        names: the modalities to read, of those in region.yaml.
        num_neighbours: nearest cells that make a cell's surroundings.
        flow_scale: what every flow is multiplied by.

    Raises:
        UserError: if a dataset is missing, or was made for other cells.
    """
    table = reader.read("cells").table()
    cells = table["cell"].to_numpy()
    flows = edge_rows(reader.read("edges"), cells)
    if flow_scale != 1:
        flows = replace(flows, flow=flows.flow * flow_scale)
    latitude, longitude = table["latitude"].to_numpy(), table["longitude"].to_numpy()
    modalities = tuple(LoadedModality.read(reader, name, cells) for name in sorted(names))
    return table, Evidence(
        modalities,
        flow_features(flows, table["internal_flow"].to_numpy() * flow_scale, latitude, longitude),
        partners(flows, len(cells)),
        neighbours(latitude, longitude, num_neighbours),
        read_rhythm(reader, cells),
    )


def schema_of(reader: RegionReader, names: Collection[str], num_neighbours: int) -> Schema:
    """What an encoder that is trained on a region will ask of others."""
    inputs = tuple(_input(reader, name) for name in sorted(names))
    return Schema(reader.region, reader.config.resolution, num_neighbours, inputs, tuple(flow_feature_names()))


def _input(reader: RegionReader, name: str) -> Input:
    kind = reader.config.modalities[name].kind
    features = reader.read(f"features/{name}")
    dimension = pq.read_schema(features.files()[0]).field("vector").type.list_size
    columns = kind_of(kind).input_columns(reader, name)
    amounts, _, _ = reader.amounts(name, reader.cells())
    return Input(name, kind, dimension, features.details.get("encoder"), tuple(columns), amounts)
