"""A region without mobility: an encoder fitted to one half of a region's cells is asked on the other, without flows.

MORA_HOME=… python -m benchmarks.encoder_without_mobility us_counties      # after cells, edges and features of it
The region is cut as by `benchmarks.encoder_transfer`, and the encoder is that of `mora`. Regressors are fitted on the
vectors and labels of the fitted half, which has its flows. `student` and `encoder fitted without flows` see no flow of
the asked half, the latter none at all. Markdown; the last line is JSON, by direction, way and task.
"""
# ruff: noqa: T201 - a command prints

import argparse
import dataclasses
import json
from collections.abc import Iterator

import numpy as np
from scipy import sparse

from benchmarks.encoder_halves import CutRegion, Scores, mean_scores_of, print_means
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


def vectors_of(fitted: Evidence, asked: Evidence, schema: Schema) -> Iterator[tuple[str, Vectors, Vectors]]:
    """Each way to make vectors, with those of the fitted and of the asked half, float32 [n, d] and [m, d]."""
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("region")
    region = CutRegion.read(parser.parse_args().region)
    print("| fitted, asked | vectors | LightGBM | ridge |\n|---|---|---:|---:|")
    figures: dict[str, dict[str, Scores]] = {}
    for fitted, asked in region.directions():
        direction = figures.setdefault(f"{fitted.name} to {asked.name}", {})
        for way, of_fitted, of_asked in vectors_of(fitted.evidence, asked.evidence, region.schema):
            direction[way] = region.scores(fitted, asked, of_fitted, of_asked)
            mean = mean_scores_of(direction[way])
            print(f"| {fitted.name}, {asked.name} | {way} | {mean['LightGBM']:.3f} | {mean['ridge']:.3f} |", flush=True)
    print_means(figures)
    print(json.dumps(figures))


if __name__ == "__main__":
    main()
