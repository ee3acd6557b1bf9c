"""The embeddings of the preset `inductive`, whichever preset the published ones have."""

from mora_pipeline.evaluation.methods.interface import Inputs, MethodVectors


def inductive(inputs: Inputs, _: str) -> dict[str, MethodVectors]:
    """An encoder at its defaults, fitted to the region's features and flows; no label takes part."""
    from mora_pipeline.presets.inductive.parameters import InductiveParameters
    from mora_pipeline.presets.inductive.region import read_evidence, schema_of
    from mora_pipeline.presets.inductive.train import train_inductive

    parameters, names = InductiveParameters(), list(inputs.reader.config.modalities)
    schema = schema_of(inputs.reader, names, parameters.neighbours)
    _, evidence = read_evidence(inputs.reader, names, parameters.neighbours)
    return {"inductive": MethodVectors(train_inductive(evidence, schema, parameters).embeddings)}
