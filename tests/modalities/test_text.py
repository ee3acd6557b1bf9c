"""Text encoders, and the weighted mean of the texts of a cell."""

import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mora_pipeline.contract.errors import UserError
from mora_pipeline.contract.schemas import TEXT_CELLS, TEXTS
from mora_pipeline.modalities.text.encoding import SentenceEncoder, encode_text_cells, make_text_encoder


class CountingEncoder:
    """Each text's vector is its own seeded noise; remembers what it was asked."""

    name, dimension = "counting", 5

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: Sequence[str], progress=None) -> np.ndarray:
        self.asked.extend(texts)
        rows = [np.random.default_rng(list(text.encode())).normal(size=self.dimension) for text in texts]
        return np.array(rows, dtype=np.float32).reshape(-1, self.dimension)


def tables(texts: list[tuple[int, str]], cells: list[tuple[int, int, float]]) -> tuple[pa.Table, pa.Table]:
    def columns(rows: list, schema: pa.Schema) -> pa.Table:
        return pa.Table.from_pylist([dict(zip(schema.names, row, strict=True)) for row in rows], schema=schema)

    return columns([(*text, None) for text in texts], TEXTS), columns(cells, TEXT_CELLS)


@pytest.fixture(scope="module")
def minilm() -> SentenceEncoder:
    return make_text_encoder("default", device="cpu")


def test_the_default_knows_that_a_cafe_is_nearer_to_a_restaurant_than_to_a_motorway(minilm: SentenceEncoder) -> None:
    vectors = minilm.encode(["Blue Bottle, cafe", "Chez Paul, restaurant", "A7, motorway"])
    cosine = vectors @ vectors.T / np.outer(*[np.linalg.norm(vectors, axis=1)] * 2)
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, minilm.dimension) == (3, 384)
    assert cosine[0, 1] > cosine[0, 2] + 0.1


def test_encoding_twice_and_in_another_company_gives_the_same_vectors(minilm: SentenceEncoder) -> None:
    alone = minilm.encode(["school", "a very long name of a very small shop, shop"])
    assert np.array_equal(alone, minilm.encode(["school", "a very long name of a very small shop, shop"]))
    assert np.allclose(alone[0], minilm.encode(["bar", "school"])[1], atol=1e-5)


def test_each_distinct_text_is_encoded_once() -> None:
    encoder = CountingEncoder()
    texts, cells = tables(
        [(7, "cafe"), (1, "bar"), (4, "cafe"), (9, "never used")],
        [(100, 7, 1.0), (100, 4, 1.0), (200, 7, 5.0), (300, 1, 2.0), (300, 1, 1.0)],
    )
    encode_text_cells(texts, cells, encoder)
    assert sorted(encoder.asked) == ["bar", "cafe", "never used"]


@settings(max_examples=50, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 7), st.floats(0.01, 1e4)), min_size=1, max_size=40),
    seed=st.integers(0, 2**32 - 1),
)
def test_a_cell_is_the_count_weighted_mean_of_its_texts(rows: list[tuple[int, int, float]], seed: int) -> None:
    """Against a naive mean; and rows in another order give the same bits."""
    texts = [(number, f"text {number % 5}") for number in range(8)]
    encoder = CountingEncoder()
    encoded = encode_text_cells(*tables(texts, rows), encoder)
    assert encoded.cells.tolist() == sorted({row[0] for row in rows})
    for cell, vector in zip(encoded.cells, encoded.vectors, strict=True):
        own = [(count, encoder.encode([texts[text][1]])[0]) for its, text, count in rows if its == cell]
        expected = np.average([one for _, one in own], axis=0, weights=[count for count, _ in own])
        assert np.allclose(vector, expected, atol=1e-5)
    shuffled, rng = list(rows), np.random.default_rng(seed)
    rng.shuffle(shuffled)
    again = encode_text_cells(*tables([texts[i] for i in rng.permutation(8)], shuffled), CountingEncoder())
    assert np.array_equal(encoded.cells, again.cells)
    assert np.array_equal(encoded.vectors, again.vectors)


def test_chunks_give_the_same_as_one_piece_and_report_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    given_tables = tables([(i, f"text {i}") for i in range(10)], [(i % 3, i, 1.0 + i) for i in range(10)])
    whole = encode_text_cells(*given_tables, CountingEncoder())
    monkeypatch.setattr("mora_pipeline.modalities.text.encoding.CHUNK", 4)
    seen: list[tuple[int, int]] = []
    chunked = encode_text_cells(*given_tables, CountingEncoder(), lambda done, total: seen.append((done, total)))
    assert np.allclose(whole.vectors, chunked.vectors, atol=1e-6)
    assert seen == [(4, 10), (8, 10), (10, 10)]


def test_no_texts_give_no_cells() -> None:
    encoded = encode_text_cells(*tables([], []), CountingEncoder())
    assert encoded.vectors.shape == (0, 5)


def test_a_text_that_is_not_there_is_reported() -> None:
    with pytest.raises(UserError, match="names a text that texts does not hold"):
        encode_text_cells(*tables([(1, "bar")], [(100, 2, 1.0)]), CountingEncoder())


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sentence-transformers folder of a two-layer BERT with random weights."""
    from sentence_transformers import SentenceTransformer, models
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    base, folder = tmp_path_factory.mktemp("bert"), tmp_path_factory.mktemp("model") / "tiny"
    words = ["[PAD]", "[UNK]", "cafe", "bar", "school"]
    tokenizer = Tokenizer(WordLevel({word: number for number, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(base)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(base)
    transformer = models.Transformer(str(base))
    SentenceTransformer(modules=[transformer, models.Pooling(16)], device="cpu").save(str(folder))
    return folder


def test_a_folder_is_an_encoder(tiny_model: Path) -> None:
    encoder = make_text_encoder(str(tiny_model), device="cpu")
    vectors = encoder.encode(["cafe", "bar", "cafe"])
    assert (encoder.name, encoder.dimension) == ("tiny", 16)
    assert np.allclose(vectors[0], vectors[2], atol=1e-6)
    assert not np.allclose(vectors[0], vectors[1], atol=1e-3)


def test_a_relative_folder_starts_from_the_region_s_root(tiny_model: Path) -> None:
    assert make_text_encoder("tiny", root=tiny_model.parent, device="cpu").dimension == 16


def test_a_hub_id_without_a_network_says_how_to_bring_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(UserError, match=r"(?s)'BAAI/bge-m3'.*hf download BAAI/bge-m3.*copy that folder.*region.yaml"):
        make_text_encoder("BAAI/bge-m3", device="cpu")


def test_a_folder_that_is_not_there_is_not_looked_up_on_the_hub() -> None:
    with pytest.raises(UserError, match=r"there is no folder .*/models/mine"):
        make_text_encoder("./models/mine")


def test_a_folder_without_a_model_is_reported(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be loaded as a sentence-transformers model"):
        make_text_encoder(str(tmp_path), device="cpu")


class Trap:
    """Runs code when unpickled."""

    def __init__(self, witness: Path) -> None:
        self.witness = witness

    def __reduce__(self) -> tuple:
        return (Path.touch, (self.witness,))


def test_a_pickle_in_a_folder_never_runs(tiny_model: Path, tmp_path: Path) -> None:
    import shutil

    folder, witness = tmp_path / "trapped", tmp_path / "witness"
    shutil.copytree(tiny_model, folder)
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps({"embeddings": Trap(witness)}))
    with pytest.raises(UserError, match="cannot be loaded"):
        make_text_encoder(str(folder), device="cpu")
    assert not witness.exists()
