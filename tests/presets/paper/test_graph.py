import itertools

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from mora_pipeline.contract import schemas
from mora_pipeline.contract.errors import UserError
from mora_pipeline.lake import Lake, versions
from mora_pipeline.presets import merging
from mora_pipeline.presets.paper.graph import Adjacency, load_adjacency, symmetrise_and_normalise

NUM_CELLS = 6
EDGES = st.lists(
    st.tuples(st.integers(0, NUM_CELLS - 1), st.integers(0, NUM_CELLS - 1), st.floats(0.01, 1e6)), max_size=40
)


def normalised(edges, num_cells=NUM_CELLS):
    columns = np.array(edges, dtype=float).reshape(-1, 3)
    return symmetrise_and_normalise(columns[:, 0].astype(int), columns[:, 1].astype(int), columns[:, 2], num_cells)


def dense_oracle(edges, num_cells=NUM_CELLS):
    directed = np.zeros((num_cells, num_cells))
    for origin, destination, flow in edges:
        if origin != destination:
            directed[origin, destination] += flow
    both = directed + directed.T
    result = np.zeros_like(both)
    for i in range(num_cells):
        for j in range(num_cells):
            if both[i, j]:
                result[i, j] = both[i, j] / np.sqrt(both[i].sum() * both[j].sum())
    return result


@given(EDGES)
def test_normalisation_is_the_dense_formula_of_the_symmetrised_flows(edges):
    np.testing.assert_allclose(normalised(edges).toarray(), dense_oracle(edges), rtol=1e-12)


@given(EDGES, st.randoms())
def test_the_order_of_edges_changes_nothing(edges, random):
    shuffled = random.sample(edges, len(edges))
    assert normalised(edges).toarray().tobytes() == normalised(shuffled).toarray().tobytes()


@given(EDGES)
def test_the_adjacency_is_bitwise_symmetric(edges):
    matrix = normalised(edges)
    assert (matrix != matrix.T).nnz == 0


def test_a_node_that_only_receives_flow_gets_no_huge_weight():
    """The released normalisation gives such a node a factor of 1e5."""
    matrix = normalised([(0, 1, 5.0), (1, 0, 3.0), (0, 2, 7.0)], 3).toarray()
    assert matrix.max() <= 1
    np.testing.assert_allclose(matrix[2], [7 / np.sqrt(7 * 15), 0, 0])


def test_a_cell_without_flow_has_a_zero_row_and_no_nan():
    matrix = normalised([(0, 1, 5.0), (3, 3, 9.0)]).toarray()
    assert not np.isnan(matrix).any()
    assert not matrix[2:].any()
    assert not matrix[:, 2:].any()


def test_moves_inside_a_cell_never_enter_the_graph():
    with_self_loop = normalised([(0, 1, 5.0), (0, 0, 100.0), (1, 2, 1.0)])
    np.testing.assert_array_equal(with_self_loop.toarray(), normalised([(0, 1, 5.0), (1, 2, 1.0)]).toarray())


@pytest.mark.parametrize("flow", [0.0, -1.0, np.nan, np.inf])
def test_a_flow_that_is_not_positive_and_finite_is_refused(flow):
    with pytest.raises(ValueError, match="positive and finite"):
        normalised([(0, 1, flow)])


@pytest.mark.parametrize("edge", [(0, 9, 1.0), (-1, 0, 1.0)])
def test_a_row_outside_the_cells_is_refused(edge):
    with pytest.raises(ValueError, match="outside the 6 cells"):
        normalised([edge])


def graph_table(edges):
    origin, destination, flow = zip(*edges, strict=True)
    return pa.table([origin, destination, flow], schema=schemas.GRAPH)


def test_cell_ids_become_rows_of_the_sorted_cells():
    cells = np.array([11, 22, 33, 44], dtype=np.int64)
    adjacency = load_adjacency(graph_table([(44, 11, 2.0), (11, 22, 3.0)]).to_batches, cells)
    assert adjacency.num_cells == 4
    assert adjacency.indptr.tolist() == [0, 2, 3, 3, 4]
    assert adjacency.indices.tolist() == [1, 3, 0, 0]
    expected = [3 / np.sqrt(15), 2 / np.sqrt(10), 3 / np.sqrt(15), 2 / np.sqrt(10)]
    np.testing.assert_allclose(adjacency.values.numpy(), expected, rtol=1e-6)


def test_the_order_of_the_graphs_rows_changes_nothing():
    cells = np.arange(10, dtype=np.int64)
    edges = [(i, (i * 3 + 1) % 10, 1.0 + i / 7) for i in range(10)]
    one, other = (load_adjacency(graph_table(each).to_batches, cells) for each in (edges, edges[::-1]))
    for part in ("indptr", "indices", "values"):
        assert getattr(one, part).numpy().tobytes() == getattr(other, part).numpy().tobytes()


@pytest.mark.parametrize("stranger", [5, 23, 99])
def test_a_cell_that_the_cells_do_not_hold_is_the_users_to_mend(stranger):
    cells = np.array([11, 22, 33], dtype=np.int64)
    with pytest.raises(UserError, match="`graph` names 1 cells that `cells` does not hold"):
        load_adjacency(graph_table([(11, 22, 1.0), (33, stranger, 1.0)]).to_batches, cells)


def test_a_graph_without_edges_is_all_zero_rows():
    empty = pa.table([[], [], []], schema=schemas.GRAPH)
    adjacency = load_adjacency(empty.to_batches, np.array([1, 2], dtype=np.int64))
    assert adjacency.indptr.tolist() == [0, 0, 0]


def test_an_adjacency_that_is_not_symmetric_is_refused():
    matrix = normalised([(0, 1, 5.0)])
    matrix.data[0] += 0.5
    with pytest.raises(ValueError, match="must be symmetric"):
        Adjacency.from_matrix(matrix)


@given(edges=EDGES, rows=st.integers(1, 9), at_a_time=st.integers(1, 12))
def test_a_stream_in_batches_of_any_size_is_scipys_matrix_to_the_last_bit(edges, rows, at_a_time):
    """In float64, before narrowing: scipy adds up one pair's two directions; blocks and batches may end anywhere."""
    columns = np.array(edges, dtype=float).reshape(-1, 3)
    _, once = np.unique(columns[:, :2], axis=0, return_index=True)
    columns = columns[once]
    origin, destination, flow = columns[:, 0].astype(int), columns[:, 1].astype(int), columns[:, 2]
    directed = sparse.coo_array((flow, (origin, destination)), shape=(NUM_CELLS, NUM_CELLS)).tocsr()
    directed.setdiag(0)
    directed.eliminate_zeros()
    expected = (directed + directed.T).tocsr()

    def batches():
        for first in range(0, len(flow), rows):
            part = slice(first, first + rows)
            yield origin[part], destination[part], flow[part]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(merging, "ENTRIES_AT_A_TIME", at_a_time)
        found = merging.merge_both_directions(batches, NUM_CELLS).to_scipy()
    assert found.toarray().tobytes() == expected.toarray().tobytes()
    assert found.nnz == expected.nnz
    assert all((np.diff(found.indices[first:last]) > 0).all() for first, last in itertools.pairwise(found.indptr))


def test_the_lakes_files_become_the_matrix_of_the_whole_table(tmp_path, monkeypatch):
    """Over several files and batches, narrowed in place; the oracle holds everything at once."""
    random = np.random.default_rng(2)
    cells = np.sort(random.choice(10**6, 40, replace=False)).astype(np.int64)
    pairs = random.choice(40 * 40, 700, replace=False)
    table = pa.table([cells[pairs // 40], cells[pairs % 40], random.exponential(1, 700)], schema=schemas.GRAPH)
    draft = Lake(tmp_path).begin("graph", "town")
    for number in range(3):
        draft.write(table.slice(number * 250, 250), f"part-{number:05d}.parquet")
    monkeypatch.setattr(versions, "BATCH_ROWS", 64)
    found = load_adjacency(draft.commit().batches, cells)
    matrix = symmetrise_and_normalise(pairs // 40, pairs % 40, table["flow"].to_numpy(), 40)
    expected = Adjacency.from_matrix(matrix)
    for part in ("indptr", "indices", "values"):
        assert torch.equal(getattr(found, part), getattr(expected, part))
    np.testing.assert_allclose(found.values, matrix.data, rtol=1e-7)


FIRST = [(0, 1, 1.0), (1, 2, 1.0)]


@pytest.mark.parametrize("second", [[], FIRST[:1], [*FIRST, FIRST[1]], [FIRST[0], (4, 5, 1.0)]])
def test_a_graph_that_changes_between_the_passes_is_refused(second):
    """Fewer edges, none, more, others: no place may be left unwritten, or be written twice."""
    passes = iter([FIRST, second])

    def read():
        return [tuple(np.array(column) for column in zip(*edges, strict=True)) for edges in [next(passes)] if edges]

    with pytest.raises(UserError, match=r"changed while it was read\. Run it again"):
        merging.merge_both_directions(read, NUM_CELLS)


def test_rows_near_the_end_of_int32_are_still_cut_into_blocks():
    last = np.iinfo(np.int32).max
    starts = np.array([0, last - 9, last - 5, last], np.int32)
    assert list(merging.row_blocks(starts)) == [(0, 1), (1, 3)]
