"""An encoder on a region it never saw: fitted to one half of a region's cells, with the regressors, asked on the other.

MORA_HOME=… python -m benchmarks.encoder_transfer us_counties      # after cells, edges and features of it
A region is cut at its median longitude, at its median latitude and, where region.yaml names groups under `blocks`,
between them; each half is asked by what was fitted to the other. All scales belong to the fitted half, and neither half
sees the flows between the two. `inputs` is what can be carried across without an encoder: modalities, amounts and flow
figures side by side, standardised and bounded. Markdown; the last line is JSON, by direction, way and task.
"""

from collections.abc import Iterator

from benchmarks.encoder_halves import Half, compare
from benchmarks.encoder_scores import raw_vectors
from mora_pipeline.evaluation.methods.inputs import stacked, with_means
from mora_pipeline.evaluation.protocol.parameters import BenchmarkParameters
from mora_pipeline.presets.inductive.parameters import InductiveParameters
from mora_pipeline.presets.inductive.schema import Schema
from mora_pipeline.presets.inductive.states import Vectors
from mora_pipeline.presets.inductive.train import train_inductive
from mora_pipeline.presets.mora.parameters import MoraParameters
from mora_pipeline.presets.mora.train import train_encoder


def vectors_of(fitted: Half, asked: Half, schema: Schema) -> Iterator[tuple[str, Vectors, Vectors]]:
    """Each way to make vectors, with those of the fitted and of the asked half, float32 [n, d] and [m, d]."""
    halves, parameters = (fitted, asked), InductiveParameters()
    own, others = (raw_vectors(half.evidence, parameters, fitted.evidence) for half in halves)
    yield "raw features", own, others
    both = stacked([half.parts() for half in halves], BenchmarkParameters().raw_components)
    yield "inputs", *both
    yield (
        "inputs and their surroundings",
        *with_means(both, [(half.evidence.partners, half.evidence.neighbours) for half in halves]),
    )
    inductive = train_inductive(fitted.evidence, schema, parameters)
    yield "inductive, encoder of the fitted half", inductive.embeddings, inductive.encoder.embed(asked.evidence)
    mora = train_encoder(fitted.evidence, schema, MoraParameters())
    yield "mora, encoder of the fitted half", mora.encoded.vectors, mora.encoder.encode(asked.evidence).vectors


def main() -> None:
    compare(__doc__ or "", vectors_of)


if __name__ == "__main__":
    main()
