"""The preset `inductive`, whichever preset the region's embeddings have, and what its encoder reads of a cell."""

from mora_pipeline.evaluation.methods.interface import MethodContext, MethodVectors
from mora_pipeline.evaluation.methods.raw import principal_axes


def inductive(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """Float32 [N, d] of an encoder at its defaults, fitted to the region's features and flows; no label takes part."""
    from mora_pipeline.presets.inductive.parameters import InductiveParameters
    from mora_pipeline.presets.inductive.region import read_evidence, schema_of
    from mora_pipeline.presets.inductive.train import train_inductive

    parameters, names = InductiveParameters(), list(context.reader.config.modalities)
    schema = schema_of(context.reader, names, parameters.neighbours)
    _, evidence = read_evidence(context.reader, names, parameters.neighbours)
    return {"inductive": MethodVectors(train_inductive(evidence, schema, parameters).embeddings)}


def encoder_inputs(context: MethodContext, _: str) -> dict[str, MethodVectors]:
    """What the encoder reads, without the encoder: principal components [N, up to 128] of the fitted states.

    A state holds a cell's own features, its flow figures, and means over its partners and neighbours.
    """
    from mora_pipeline.presets.inductive.parameters import InductiveParameters
    from mora_pipeline.presets.inductive.region import read_evidence
    from mora_pipeline.presets.inductive.states import fit_states
    from mora_pipeline.presets.inductive.train import check_evidence

    parameters = InductiveParameters()
    _, evidence = read_evidence(context.reader, list(context.reader.config.modalities), parameters.neighbours)
    check_evidence(evidence)
    return {"encoder_inputs": MethodVectors(principal_axes(fit_states(evidence, parameters).apply(evidence)))}
