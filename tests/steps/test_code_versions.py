"""No step's code changes without somebody having said whether its results do."""

import pytest

from tests.steps import code_versions
from tests.steps.code_versions import advice, changed, digest, reached, read, record, versioned


def test_no_code_has_changed_under_its_version() -> None:
    found = changed(read())
    assert not found, advice(found)


def test_every_step_of_the_chain_has_a_code_version() -> None:
    from mora_pipeline.steps import all_steps

    assert {step.name for step in all_steps() if step.in_chain} == {step.name for step in versioned()}


def test_a_step_reaches_what_it_imports_inside_functions_its_plugins_and_its_spark_jobs() -> None:
    steps = {step.name: reached(step) for step in versioned()}
    assert {"spark_jobs.grid_mobility", "mora_pipeline.raw.times"} <= steps["edges"]
    assert "mora_pipeline.presets.paper.line" in steps["line_vectors"]
    assert "mora_pipeline.modalities.image.encoder" in steps["image_features"]
    assert "mora_pipeline.modalities.image.encoder" not in steps["text_features"]
    assert {"mora_pipeline.presets.mora.preset", "mora_pipeline.presets.paper.trainer"} <= steps["embeddings"]
    assert "mora_pipeline.evaluation.protocol.models" in steps["benchmark"]
    assert "spark_jobs.sample_graph" in steps["graph"]
    assert "mora_pipeline.steps.memo" not in set().union(*steps.values())


def test_changed_code_is_told_with_its_steps_until_their_version_is_raised() -> None:
    recorded = record()
    assert changed(recorded) == {}
    recorded["modules"]["mora_pipeline.presets.paper.line"] = "before"
    found = changed(recorded)
    assert found["line_vectors"] == ["mora_pipeline.presets.paper.line"]
    assert "edges" not in found
    assert "line_vectors" in advice(found)
    assert "mora_pipeline.presets.paper.line" in advice(found)
    recorded["steps"] = dict.fromkeys(recorded["steps"], "0")
    assert changed(recorded) == {}


def test_comments_and_docstrings_are_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    import ast

    def of(text: str) -> str:
        digest.cache_clear()
        monkeypatch.setattr(code_versions, "tree", lambda module: ast.parse(text))
        return digest("mora_pipeline.any")

    plain = of("def f(x):\n    return x + 1")
    assert of('"""A module."""\ndef f(x):\n    """Adds."""\n    return x + 1  # one more') == plain
    assert of("def f(x):\n    return x + 2") != plain
    digest.cache_clear()
