"""Encoders in the lake: what a region must have to be embedded by another's, and what is said where it has not."""

import dataclasses

import numpy as np
import pyarrow as pa
import pytest
import yaml

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors, Edges
from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.lake.registry import Registry
from mora_pipeline.presets.encoders import DATASET
from mora_pipeline.presets.inductive.encoder import save_encoder
from mora_pipeline.presets.inductive.flows import flow_level
from mora_pipeline.presets.inductive.region import embed_region, embed_with, read_evidence, schema_of
from mora_pipeline.presets.inductive.schema import Schema, check_declared, encoder_version
from mora_pipeline.presets.inductive.train import train_inductive, with_student
from mora_pipeline.region.kinds import KINDS
from tests.presets.inductive.conftest import COUNTS

POINT = {"latitude": "y", "longitude": "x"}
MODALITIES = {
    "poi": {"kind": "text", "path": "pois.csv", "columns": {**POINT, "category": "kind"}},
    "ages": {"kind": "table", "path": "ages.csv", "columns": POINT, "groups": {"age": "age_*"}},
    "sky": {"kind": "image", "source": "geotiff", "path": "sky.tif"},
}
COLUMNS = ["age_a", "age_b", "age_c", "age_d", "age_e"]


class Home:
    """A home whose lake holds what the encoder reads, written without running anything."""

    def __init__(self, path):
        self.path, self.lake = path, Lake(path / "lake")

    def add(self, region, town, modalities=MODALITIES, resolution=8, columns=COLUMNS, encoder=None):
        """With an encoder, the region's file has no mobility; the town must have no flows then."""
        columns_of_trips = {f"{end}_{axis}": f"{end}_{axis}" for end in ("origin", "destination") for axis in POINT}
        mobility = {"kind": "trips", "path": "trips.csv", "columns": columns_of_trips}
        folder = self.path / region
        folder.mkdir()
        text = {"region": region, "resolution": resolution, "modalities": modalities}
        text |= {"embeddings": {"encoder": encoder}} if encoder else {"mobility": mobility}
        (folder / "region.yaml").write_text(yaml.safe_dump(text))
        registry = Registry(self.path)
        registry._write(registry.all() | {region: folder / "region.yaml"})
        self._publish(region, town, modalities, columns)

    def _publish(self, region, town, modalities, columns):
        cells = self.cells(len(town.latitude))
        nothing = np.zeros(len(cells))
        table = [cells, np.arange(len(cells)), town.latitude, town.longitude, town.internal, nothing]
        self.write("cells", region, pa.table(table, schema=schemas.CELLS))
        edges = [cells[town.flows.origin], cells[town.flows.destination], town.flows.flow]
        users = pa.nulls(len(edges[0]), pa.int64())
        self.write("edges", region, pa.table([*edges, users], schema=schemas.EDGES))
        shares = [np.zeros(len(cells)) for _ in columns]
        self.write("table_cells/ages", region, pa.table([cells, *shares], schema=schemas.table_cells(columns)))
        for one in town.modalities:
            if one.name in modalities:
                declared = modalities[one.name]
                known = CellVectors(cells[one.present], one.vectors[one.present])
                backbone = KINDS[declared["kind"]].config.model_validate(declared).backbone
                self.write(f"features/{one.name}", region, known.to_table(), {"kind": one.kind, "encoder": backbone})
                own, names = one.amounts_present, list(one.amount_names)
                amounts = [cells[own], *one.amounts[own].astype(float).T]
                self.write(f"amounts/{one.name}", region, pa.table(amounts, schema=schemas.amounts(names)))

    def cells(self, count):
        return np.arange(count) * 10 + 7

    def write(self, dataset, region, table, details=None):
        draft = self.lake.begin(dataset, region)
        draft.write(table)
        draft.commit(details)

    def reader(self, region):
        return RegionReader(Registry(self.path).load(region), self.lake)

    def train(self, region, parameters):
        reader = self.reader(region)
        names = list(reader.config.modalities)
        _, evidence = read_evidence(reader, names, parameters.neighbours)
        found = train_inductive(evidence, schema_of(reader, names, parameters.neighbours), parameters)
        draft = self.lake.begin(DATASET, region)
        found = dataclasses.replace(found, encoder=with_student(found.encoder, evidence, found.embeddings)[0])
        save_encoder(found.encoder, draft.path)
        draft.commit()
        return found


@pytest.fixture
def home(tmp_path, town, other_town, small):
    made = Home(tmp_path)
    made.add("east", town)
    made.trained = made.train("east", small)
    return made


def test_another_region_is_embedded_without_training(home, other_town):
    home.add("west", other_town)
    found = embed_region("west", "east", home.path)
    assert found.cells.tolist() == [number * 10 + 7 for number in range(35)]
    expected = home.trained.encoder.embed(other_town.evidence())
    np.testing.assert_array_equal(found.vectors, expected)


@pytest.fixture
def blank(other_town):
    """A region whose flows nobody knows."""
    nothing = Edges(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    return dataclasses.replace(other_town, flows=nothing, internal=np.zeros(len(other_town.internal)))


def test_a_region_without_mobility_is_embedded_by_the_student(home, blank):
    home.add("west", blank, encoder="east")
    found = embed_region("west", "east", home.path)
    student = home.trained.encoder.encode(blank.evidence(), without_flows=True)
    np.testing.assert_array_equal(found.vectors, student.vectors)
    assert not np.allclose(found.vectors, home.trained.encoder.embed(blank.evidence()))


def test_a_student_takes_the_modalities_that_its_encoder_takes(home, blank):
    """One that it does not know is left out; one that it takes must be there."""
    more = dataclasses.replace(blank.modalities[1], name="signs")
    knows = {**MODALITIES, "signs": MODALITIES["poi"]}
    home.add("west", dataclasses.replace(blank, modalities=(*blank.modalities, more)), knows, encoder="east")
    student = home.trained.encoder.encode(blank.evidence(), without_flows=True)
    np.testing.assert_array_equal(embed_region("west", "east", home.path).vectors, student.vectors)
    home.add("south", blank, {name: MODALITIES[name] for name in ("poi", "ages")}, encoder="east")
    with pytest.raises(UserError, match=r"'east' takes ages, poi, sky, but .*region.yaml has ages, poi. Add"):
        embed_region("south", "east", home.path)


def test_an_encoder_that_cannot_do_without_flows_says_so(home, blank):
    home.add("west", blank, encoder="east")
    schema = dataclasses.replace(home.trained.encoder.schema, modalities=())
    with pytest.raises(UserError, match=r"'east' takes mobility alone, but .*west/region.yaml has none. Train"):
        check_declared(schema, Registry(home.path).load("west"))
    unschooled = dataclasses.replace(home.trained.encoder, student=None)
    with pytest.raises(UserError, match=r"'east' has no student to embed cells without flows. Train it again: mora"):
        embed_with(home.reader("west"), unschooled)


def test_its_own_region_gets_the_vectors_of_the_training(home):
    np.testing.assert_array_equal(embed_region("east", "east", home.path).vectors, home.trained.embeddings)


def test_modalities_that_the_encoder_does_not_know_are_left_out(home, other_town):
    more = dataclasses.replace(other_town.modalities[1], name="signs")
    town = dataclasses.replace(other_town, modalities=(*other_town.modalities, more))
    home.add("west", town, {**MODALITIES, "signs": MODALITIES["poi"]})
    found = embed_region("west", "east", home.path)
    np.testing.assert_array_equal(found.vectors, home.trained.encoder.embed(other_town.evidence()))


def test_a_schema_survives_its_json(home):
    schema = home.trained.encoder.schema
    assert Schema.from_json(schema.as_json()) == schema


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"resolution": 9}, r"for cells of resolution 8, but .*west/region.yaml has resolution 9"),
        (
            {"modalities": {name: MODALITIES[name] for name in ("poi", "ages")}},
            r"'east' takes ages, poi, sky, but .*region.yaml has ages, poi. Add modalities.sky \(kind: image\)",
        ),
        (
            {"modalities": {**MODALITIES, "poi": {**MODALITIES["poi"], "encoder": "BAAI/bge-m3"}}},
            r"modalities.poi by the text encoder 'default', but .* says 'BAAI/bge-m3'. Write modalities.poi.encoder",
        ),
        (
            {"modalities": {**MODALITIES, "sky": {**MODALITIES["ages"], "groups": {"sky": "sky_*"}}}},
            r"takes modalities.sky of kind image, but in .* it is of kind table",
        ),
        (
            {"columns": [*COLUMNS[:4], "age_z"]},
            r"that of 'west' lacks age_e and has besides age_z. Name the same columns",
        ),
        ({"columns": COLUMNS[::-1]}, "has them in another order"),
    ],
)
def test_a_region_that_differs_is_refused_by_name(home, other_town, change, told):
    home.add("west", other_town, **change)
    with pytest.raises(UserError, match=told):
        embed_region("west", "east", home.path)


def test_another_model_behind_the_same_name_is_refused(home, other_town):
    poi = other_town.modalities[1]
    wider = dataclasses.replace(poi, vectors=np.tile(poi.vectors, 2))
    modalities = (other_town.modalities[0], wider, other_town.modalities[2])
    home.add("west", dataclasses.replace(other_town, modalities=modalities))
    with pytest.raises(UserError, match=r"takes modalities.poi as 12 numbers, but 'west' has 24"):
        embed_region("west", "east", home.path)


def test_what_region_yaml_says_is_refused_before_anything_is_made(home, other_town):
    home.add("west", other_town, resolution=9)
    with pytest.raises(UserError, match="resolution 8"):
        check_declared(home.trained.encoder.schema, Registry(home.path).load("west"))


def test_a_region_without_an_encoder_is_told_how_to_get_one(home, other_town):
    home.add("west", other_town)
    with pytest.raises(
        UserError, match=r"'west' has no encoder yet.*mora materialize west --set embeddings.preset=mora"
    ):
        encoder_version(home.lake, "west")
    vectors = CellVectors(np.arange(3), np.zeros((3, 2), np.float32)).to_table()
    home.write("embeddings", "west", vectors, {"encoder_region": "east"})
    with pytest.raises(UserError, match=r"that of 'east' embedded it. Use --encoder east"):
        encoder_version(home.lake, "west")


def test_features_that_are_not_finite_are_refused_by_name(home, other_town):
    poi = other_town.modalities[1]
    spoilt = poi.vectors.copy()
    spoilt[5, 2] = np.nan
    modalities = (other_town.modalities[0], dataclasses.replace(poi, vectors=spoilt), other_town.modalities[2])
    home.add("west", dataclasses.replace(other_town, modalities=modalities))
    with pytest.raises(UserError, match=r"poi hold NaN or infinity in 1 cells.*make text_features again"):
        embed_region("west", "east", home.path)


def test_familiarity_is_the_largest_answer_of_a_unit(home, other_town):
    """exp(-γ |x - centre|²): near 1 at home, and low where every feature is beyond its bound."""
    home.add("west", other_town)
    far = tuple(dataclasses.replace(one, vectors=one.vectors + 1000) for one in other_town.modalities)
    home.add("mars", dataclasses.replace(other_town, modalities=far))
    encoder = home.trained.encoder
    familiar = {name: embed_with(home.reader(name), encoder)[1].familiarity for name in ("east", "west", "mars")}
    assert familiar["east"].min() > 0.4
    assert familiar["mars"].max() < familiar["west"].min()
    states = encoder.states.apply(other_town.evidence(), bounded=False)
    centres, sharpness = encoder.readout.centres.numpy(), encoder.readout.sharpness
    largest = np.exp(-sharpness * np.square(states[:, None] - centres[None]).sum(2)).max(1)
    np.testing.assert_allclose(familiar["west"], largest, atol=1e-5)


def test_flows_of_another_unit_are_scaled_and_it_is_said(home, other_town):
    """Trips of a month in place of jobs: a thousand times as large, and the same cells all the same."""
    home.add("west", other_town)
    flows = dataclasses.replace(other_town.flows, flow=other_town.flows.flow * 1000)
    home.add("busy", dataclasses.replace(other_town, flows=flows, internal=other_town.internal * 1000))
    encoder = home.trained.encoder
    level = flow_level(other_town.evidence().flows)
    assert encoder.schema.flow_level / 10 < level < encoder.schema.flow_level * 10
    west, busy = (embed_with(home.reader(name), encoder)[1] for name in ("west", "busy"))
    assert west.warnings == ()
    assert "times as large as where the encoder of 'east' was fitted" in busy.warnings[0]
    assert np.corrcoef(west.vectors.ravel(), busy.vectors.ravel())[0, 1] > 0.85
    assert busy.familiarity.min() > 0.1


def with_counts(town, names, columns):
    """The town with these amounts of its POIs, as counts by cell."""
    counts = np.log1p(np.array(columns, dtype=np.float64)).astype(np.float32).reshape(len(town.latitude), len(names))
    poi = dataclasses.replace(town.modalities[1], amounts=counts, amount_names=tuple(names))
    return dataclasses.replace(town, modalities=(town.modalities[0], poi, town.modalities[2]))


def test_amounts_of_another_region_are_matched_by_name(home, other_town):
    """In another order; a category that the encoder does not know counts in the rest, one that is lacked is 0."""
    parts = np.random.default_rng(8).poisson(4, (35, 2)).astype(float)
    total, zoo, rest = parts.sum(axis=1), parts[:, 0], parts[:, 1]
    names = ["count: (rest)", "count: (total)", "count: zoo"]
    home.add("west", with_counts(other_town, names, np.column_stack([rest, total, zoo])))
    table, encoded = embed_with(home.reader("west"), home.trained.encoder)
    assert table["cell"].to_pylist() == [number * 10 + 7 for number in range(35)]
    (told,) = encoded.warnings
    assert "no column for these amounts of poi in 'west': count: zoo. They count in its rest" in told
    same = with_counts(other_town, COUNTS, np.column_stack([total, np.zeros(35), zoo + rest]))
    np.testing.assert_allclose(encoded.vectors, home.trained.encoder.embed(same.evidence()), atol=1e-5)


def test_amounts_that_another_region_knows_nothing_of_are_the_encoders_mean(home, other_town):
    """Names without categories, of which only all are counted; and a table whose columns are shares there."""
    total = np.random.default_rng(8).poisson(8, 35)
    poi = with_counts(other_town, ["count: (total)"], total)
    ages = dataclasses.replace(poi.modalities[0], amount_names=())
    home.add("west", dataclasses.replace(poi, modalities=(ages, *poi.modalities[1:])))
    _, encoded = embed_with(home.reader("west"), home.trained.encoder)
    assert [told.partition(": ")[2] for told in encoded.warnings] == [
        "people. Its own mean takes their place.",
        "count: cafe, count: (rest). Its own mean takes their place.",
    ]
    states = home.trained.encoder.states.blocks["amounts/poi"]
    columns = np.column_stack([total, *np.tile(np.expm1(states.mean[1:])[:, None], 35)])
    known = with_counts(other_town, COUNTS, columns)
    unknown = dataclasses.replace(known.modalities[0], amounts_present=np.zeros(35, bool))
    same = dataclasses.replace(known, modalities=(unknown, *known.modalities[1:]))
    np.testing.assert_allclose(encoded.vectors, home.trained.encoder.embed(same.evidence()), atol=1e-5)


def test_amounts_that_an_encoder_never_saw_are_left_out_with_a_word(tmp_path, town, other_town, small):
    home = Home(tmp_path)
    home.add("east", dataclasses.replace(town, modalities=tuple(bare(one) for one in town.modalities)))
    trained = home.train("east", small)
    home.add("west", other_town)
    _, encoded = embed_with(home.reader("west"), trained.encoder)
    assert len(encoded.warnings) == 2
    without = dataclasses.replace(other_town, modalities=tuple(bare(one) for one in other_town.modalities))
    np.testing.assert_array_equal(encoded.vectors, trained.encoder.embed(without.evidence()))


def bare(one):
    return dataclasses.replace(one, amount_names=())
