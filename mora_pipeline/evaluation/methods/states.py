"""What the inductive encoder sees of a cell, without the encoder: so its inputs and itself can be told apart."""

from mora_pipeline.evaluation.methods.interface import Inputs, MethodVectors
from mora_pipeline.evaluation.methods.principal import principal_axes


def states(inputs: Inputs, _: str) -> dict[str, MethodVectors]:
    """Fitted states (own features, flow figures, means over partners and neighbours) as 128 principal components."""
    from mora_pipeline.presets.inductive.parameters import InductiveParameters
    from mora_pipeline.presets.inductive.region import read_evidence
    from mora_pipeline.presets.inductive.states import fit_states
    from mora_pipeline.presets.inductive.train import check_evidence

    parameters = InductiveParameters()
    _, evidence = read_evidence(inputs.reader, list(inputs.reader.config.modalities), parameters.neighbours)
    check_evidence(evidence)
    return {"states": MethodVectors(principal_axes(fit_states(evidence, parameters).apply(evidence)))}
