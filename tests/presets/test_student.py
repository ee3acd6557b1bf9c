"""A student foretells an encoder's vectors from what it may see, and nothing of it is left to chance."""

import numpy as np
import pytest

from mora_pipeline.presets.student import SHARPNESS, Student, StudentParameters, fit_student

SMALL = StudentParameters(units=80, directions=60)


def lesson(num_cells: int = 400, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """States, float32 [n, 6], and vectors, float32 [n, 3], that are smooth functions of them, with some noise."""
    random = np.random.default_rng(seed)
    states = random.normal(size=(num_cells, 6)).astype(np.float32)
    vectors = np.stack([np.sin(states[:, 0]), states[:, 1], states[:, 0] + 0.5 * states[:, 2]], axis=1)
    return states, (vectors + 0.1 * random.normal(size=vectors.shape) + 2).astype(np.float32)


def answers(student: Student, states: np.ndarray) -> np.ndarray:
    return student.with_largest(states)[0]


def test_a_student_foretells_cells_that_it_was_not_taught() -> None:
    fitted = fit_student(*lesson(), SMALL)
    states, vectors = lesson(seed=1)
    errors = np.square(vectors - answers(fitted.student, states)).sum()
    assert errors / np.square(vectors - vectors.mean(axis=0)).sum() < 0.25
    assert 0.5 < fitted.explained < 1


def test_what_cannot_be_foretold_becomes_the_mean() -> None:
    states, _ = lesson()
    noise = np.random.default_rng(3).normal(5, 1, (len(states), 3)).astype(np.float32)
    fitted = fit_student(states, noise, SMALL)
    assert fitted.explained < 0.05
    mean = np.broadcast_to(noise.mean(axis=0), noise.shape)
    np.testing.assert_allclose(answers(fitted.student, states), mean, atol=0.7)


def test_equal_lessons_give_equal_bytes_and_another_seed_other_units() -> None:
    one, two, other = (fit_student(*lesson(), SMALL.model_copy(update={"seed": seed})).student for seed in (0, 0, 1))
    for name, array in one.arrays().items():
        assert array.tobytes() == two.arrays()[name].tobytes()
    assert not np.array_equal(one.centres, other.centres)


def test_a_vector_does_not_depend_on_the_other_cells_asked() -> None:
    student, (states, _) = fit_student(*lesson(), SMALL).student, lesson(seed=2)
    np.testing.assert_allclose(answers(student, states[:7]), answers(student, states)[:7], rtol=1e-5, atol=1e-5)


def test_the_scale_of_the_states_is_of_no_account() -> None:
    states, vectors = lesson()
    plain = answers(fit_student(states, vectors, SMALL).student, states)
    scaled = answers(fit_student(40 * states + 7, vectors, SMALL).student, 40 * states + 7)
    np.testing.assert_allclose(scaled, plain, atol=0.02)


def test_what_is_stored_is_the_student() -> None:
    student, (states, _) = fit_student(*lesson(), SMALL).student, lesson(seed=2)
    read = Student.from_arrays(student.arrays())
    assert answers(read, states).tobytes() == answers(student, states).tobytes()
    assert student.sharpness in [float(np.float32(one)) for one in SHARPNESS]


@pytest.mark.parametrize("spoil", ["missing", "shape", "nan"])
def test_a_damaged_student_is_refused(spoil: str) -> None:
    arrays = fit_student(*lesson(), SMALL).student.arrays()
    if spoil == "missing":
        del arrays["readout"]
    elif spoil == "shape":
        arrays["readout"] = arrays["readout"][:-1]
    else:
        arrays["offset"] = arrays["offset"] * np.nan
    with pytest.raises((KeyError, ValueError)):
        Student.from_arrays(arrays)


def test_cells_that_are_all_alike_have_the_mean() -> None:
    _, vectors = lesson(30)
    student = fit_student(np.ones((30, 4), np.float32), vectors, SMALL).student
    found = answers(student, np.zeros((2, 4), np.float32))
    np.testing.assert_allclose(found, np.tile(vectors.mean(axis=0), (2, 1)), rtol=1e-4)
