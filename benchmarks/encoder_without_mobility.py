"""A region without mobility: an encoder fitted to one half of a region's cells is asked on the other, without flows.

MORA_HOME=… python -m benchmarks.encoder_without_mobility us_counties      # after cells, edges and features of it
The region is cut as by `benchmarks.encoder_transfer`, and the encoder is that of `mora`. Regressors are fitted on the
vectors and labels of the fitted half, which has its flows. `student` and `encoder fitted without flows` see no flow of
the asked half, the latter none at all. Markdown; the last line is JSON, by direction, way and task.
"""

import dataclasses
from collections.abc import Iterator

import numpy as np
from scipy import sparse

from benchmarks.encoder_halves import Half, compare
from benchmarks.encoder_scores import raw_vectors
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.schema import Schema
from mora_pipeline.presets.inductive.states import Evidence, Vectors
from mora_pipeline.presets.inductive.train import with_student
from mora_pipeline.presets.mora.parameters import MoraParameters
from mora_pipeline.presets.mora.train import train_encoder


def without_flows(evidence: Evidence) -> Evidence:
    """The same cells as a region without mobility has them."""
    none = sparse.csr_array(evidence.partners.shape)
    return dataclasses.replace(evidence, flows=np.zeros_like(evidence.flows), partners=none, rhythm=None)


def vectors_of(fitted_half: Half, asked_half: Half, schema: Schema) -> Iterator[tuple[str, Vectors, Vectors]]:
    """Each way to make vectors, with those of the fitted and of the asked half, float32 [n, d] and [m, d]."""
    fitted, asked = fitted_half.evidence, asked_half.evidence
    own, others = (raw_vectors(evidence, InductiveParameters(), fitted) for evidence in (fitted, asked))
    yield "raw features", own, others
    whole = train_encoder(fitted, schema, MoraParameters())
    encoder, _ = with_student(whole.encoder, fitted, whole.encoded.vectors)
    yield "encoder with flows", whole.encoded.vectors, encoder.encode(asked).vectors
    student = encoder.encode(without_flows(asked), without_flows=True)
    yield "student without flows", whole.encoded.vectors, student.vectors
    blind = train_encoder(without_flows(fitted), schema, MoraParameters())
    yield "encoder fitted without flows", blind.encoded.vectors, blind.encoder.encode(without_flows(asked)).vectors


def main() -> None:
    compare(__doc__ or "", vectors_of)


if __name__ == "__main__":
    main()
