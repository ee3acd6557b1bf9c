"""Amounts of texts and tables against naive counts, and how they are loaded."""

import math
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import CellVectors
from mora_pipeline.lake import Lake
from mora_pipeline.lake.reading import RegionReader
from mora_pipeline.modalities import LoadedModality
from mora_pipeline.modalities.table.amounts import table_amounts
from mora_pipeline.modalities.text.amounts import MOST_CATEGORIES, text_amounts
from mora_pipeline.region import RegionConfig

CELLS = np.arange(100, 160)
REGION = """
region: town
resolution: 8
places: {path: places.csv, id: id, latitude: y, longitude: x}
mobility: {kind: od, path: flows.csv, columns: {origin: a, destination: b, flow: trips}}
modalities: {poi: {kind: text, path: pois.csv, columns: {latitude: y, longitude: x, category: kind}}}
"""
Texts = list[tuple[str, str | None]]
Counts = list[tuple[int, int, float]]


def tables(texts: Texts, counts: Counts) -> tuple[pa.Table, pa.Table]:
    rows = [{"text_id": 3 * number, "text": text, "category": own} for number, (text, own) in enumerate(texts)]
    cells = [{"cell": cell, "text_id": 3 * number, "count": count} for cell, number, count in counts]
    return pa.Table.from_pylist(rows, schemas.TEXTS), pa.Table.from_pylist(cells, schemas.TEXT_CELLS)


def as_dict(table: pa.Table) -> dict[str, list[float]]:
    return {name: table[name].to_pylist() for name in table.column_names}


def naive(texts: Texts, counts: Counts) -> dict[str, list[float]]:
    """One cell and one category at a time, as the docstring says it."""
    category = [own for _, own in texts]
    if not any(category):
        distinct = {text for text, _ in texts}
        category = [text if len(distinct) <= 64 else None for text, _ in texts]
    cells_of = defaultdict(set)
    for cell, number, _ in counts:
        cells_of[category[number]].add(cell)
    known = sorted({one for one in category if one is not None}, key=str.encode)
    enough = [one for one in known if len(cells_of[one]) >= max(3, 0.01 * len(CELLS))]
    commonest = sorted(enough, key=lambda one: -len(cells_of[one]))[:64]

    def counted(wanted) -> list[float]:
        return [
            math.log1p(math.fsum(count for own, number, count in counts if own == cell and wanted(category[number])))
            for cell in CELLS
        ]

    columns = {"count: (total)": counted(lambda one: True)}
    columns |= {f"count: {name}": counted(lambda one, name=name: one == name) for name in known if name in commonest}
    return columns | ({"count: (rest)": counted(lambda one: one not in commonest)} if known else {})


@settings(max_examples=60, deadline=None)
@given(
    categories=st.lists(st.sampled_from(["bar", "cafe", "zoo", "Ñandú", None]), min_size=1, max_size=12),
    counts=st.lists(st.tuples(st.integers(100, 106), st.integers(0, 11), st.floats(0.01, 1e5)), max_size=40),
    seed=st.integers(0, 2**32 - 1),
)
def test_texts_are_counted_by_category(categories: list[str | None], counts: Counts, seed: int) -> None:
    """Against the naive count; and rows in another order give the same bits."""
    texts = [(f"text {number % 4}", own) for number, own in enumerate(categories)]
    counts = [(cell, number % len(texts), count) for cell, number, count in counts]
    found = text_amounts(*tables(texts, counts), CELLS)
    expected = naive(texts, counts)
    assert found.column_names == ["cell", *expected]
    assert found.schema == schemas.amounts(list(expected))
    assert found["cell"].to_pylist() == CELLS.tolist()
    for name, column in expected.items():
        np.testing.assert_allclose(found[name].to_numpy(), column, rtol=1e-12)
    shuffled, random = tables(texts, counts), np.random.default_rng(seed)
    mixed = [table.take(random.permutation(len(table))) for table in shuffled]
    assert text_amounts(*mixed, CELLS).equals(found)


def test_only_the_commonest_categories_have_a_column() -> None:
    texts = [(f"t{number}", f"k{number:03d}") for number in range(MOST_CATEGORIES + 9)]
    counts = [(100 + at, number, 1.0) for number in range(len(texts)) for at in range(3 + (number >= 9))]
    found = text_amounts(*tables(texts, counts), CELLS)
    assert found.column_names[2:-1] == [f"count: k{number:03d}" for number in range(9, 9 + MOST_CATEGORIES)]
    np.testing.assert_allclose(np.expm1(found["count: (rest)"].to_numpy()[:4]), [9, 9, 9, 0])


def test_a_category_in_few_cells_is_in_the_rest_and_so_is_one_with_a_name_of_ours() -> None:
    texts: Texts = [("a", "rare"), ("b", "(rest)"), ("c", None), ("d", "common")]
    counts = [(100 + at, number, 2.0) for number, cells in ((0, 2), (1, 5), (2, 5), (3, 3)) for at in range(cells)]
    found = as_dict(text_amounts(*tables(texts, counts), CELLS))
    assert list(found) == ["cell", "count: (total)", "count: common", "count: (rest)"]
    assert np.expm1(found["count: (rest)"][:6]).round(9).tolist() == [6, 6, 4, 4, 4, 0]


def test_many_names_without_a_category_are_counted_together_and_few_one_by_one() -> None:
    names: Texts = [(f"shop {number}", None) for number in range(MOST_CATEGORIES + 1)]
    counts = [(100 + at, number, 1.0) for number in range(len(names)) for at in range(3)]
    assert text_amounts(*tables(names, counts), CELLS).column_names == ["cell", "count: (total)"]
    few = text_amounts(*tables(names[:2], [row for row in counts if row[1] < 2]), CELLS)
    assert few.column_names == ["cell", "count: (total)", "count: shop 0", "count: shop 1", "count: (rest)"]


def test_a_region_without_a_text_has_zeros_in_all_cells() -> None:
    found = as_dict(text_amounts(*tables([], []), CELLS))
    assert found == {"cell": CELLS.tolist(), "count: (total)": [0.0] * len(CELLS)}


def test_texts_from_before_there_were_categories_are_told() -> None:
    texts, counts = tables([("bar", None)], [(100, 0, 1.0)])
    with pytest.raises(UserError, match=r"earlier version.*Materialise the asset `text_cells`"):
        text_amounts(texts.drop(["category"]), counts, CELLS)
    with pytest.raises(UserError, match="names a text that texts does not hold"):
        text_amounts(texts.slice(1), counts, CELLS)


@settings(max_examples=40, deadline=None)
@given(sums=st.dictionaries(st.integers(100, 159), st.tuples(*[st.floats(0, 1e9)] * 3), max_size=20))
def test_the_sums_of_a_table_are_logarithms_of_its_own_cells(sums: dict[int, tuple[float, float, float]]) -> None:
    rows = [{"cell": cell, "age: old": one, "age: (total)": two} for cell, (one, two, _) in sums.items()]
    weights = pa.Table.from_pylist(
        [{"cell": cell, "weight": three} for cell, (_, _, three) in sums.items()], schemas.WEIGHTS
    )
    table = pa.Table.from_pylist(rows, schemas.table_sums(["age: old", "age: (total)"]))
    found = table_amounts(table, weights, "population")
    assert found is not None
    assert found.schema == schemas.amounts(["age: old", "age: (total)", "population"])
    assert found["cell"].to_pylist() == sorted(sums)
    expected = [[math.log1p(sums[cell][at]) for cell in sorted(sums)] for at in range(3)]
    np.testing.assert_allclose([found[name].to_numpy() for name in found.column_names[1:]], expected)


def test_shares_without_a_weight_have_no_amounts() -> None:
    sums = pa.table({"cell": pa.array([1, 2])}, schema=schemas.table_sums([]))
    assert table_amounts(sums, None, "") is None


def test_a_modality_that_is_made_without_amounts_has_none_in_every_cell() -> None:
    one = LoadedModality("poi", "text", np.eye(5, dtype=np.float32), np.ones(5, bool), 0.5)
    assert (one.amounts.shape, one.amount_names, one.amounts.dtype) == ((5, 0), (), np.float32)
    assert one.amounts_present.tolist() == [False] * 5


def test_amounts_are_read_on_the_cells_of_a_region_and_those_that_no_cell_knows_left_out(tmp_path: Path) -> None:
    (tmp_path / "region.yaml").write_text(REGION)
    reader = RegionReader(RegionConfig.load(tmp_path / "region.yaml"), Lake(tmp_path / "lake"))
    with pytest.raises(UserError, match=r"amounts/poi.*earlier versions had none.*--select text_cells\+"):
        reader.amounts("poi", CELLS)

    def write(dataset: str, table: pa.Table, details: dict[str, str]) -> None:
        draft = reader.lake.begin(dataset, "town")
        draft.write(table)
        draft.commit(details)

    vectors = CellVectors(CELLS[:2], np.ones((2, 3), np.float32))
    write("features/poi", vectors.to_table(), {"kind": "text", "encoder": "default"})
    known = pa.table([CELLS[1:4], [0.0, 1.5, 2.5]], schema=schemas.amounts(["count: (total)"]))
    write("amounts/poi", known, {})
    one = LoadedModality.read(reader, "poi", CELLS)
    assert one.present.tolist() == [True, True] + [False] * 58
    assert one.amount_names == ("count: (total)",)
    assert one.amounts[:5, 0].tolist() == [0, 0, 1.5, 2.5, 0]
    assert np.flatnonzero(one.amounts_present).tolist() == [1, 2, 3]
    write("amounts/poi", known.slice(0, 0), {})
    assert LoadedModality.read(reader, "poi", CELLS).amounts.shape == (60, 0)
