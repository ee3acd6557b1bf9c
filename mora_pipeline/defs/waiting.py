"""A run that waits for a slot of a pool sleeps between two looks.

Dagster's multiprocess executor (1.13) looks for steps that may start without a pause while none is under way, which
keeps a core busy for as long as another run holds the pool. It has no setting for this, so the class that it asks for
steps is replaced by one that sleeps; a Dagster whose insides are others is left as it is.
"""

import time
from typing import Any

_PAUSE_SECONDS = 0.2


def pause_while_waiting() -> bool:
    """From now on runs that this process executes sleep while they wait; whether this Dagster can be taught it."""
    try:
        from dagster._core.execution.plan.active import ActiveExecution
        from dagster._core.executor import multiprocess
    except ImportError:
        return False
    known = all(hasattr(ActiveExecution, name) for name in ("get_steps_to_execute", "has_in_flight_steps"))
    if not known or getattr(multiprocess, "ActiveExecution", None) is not ActiveExecution:
        return getattr(getattr(multiprocess, "ActiveExecution", None), "sleeps", False)

    class PatientExecution(ActiveExecution):
        """Sleeps before it says that no step may start, if none is under way and one waits for a slot or a retry."""

        sleeps = True

        def get_steps_to_execute(self, *args: Any, **kwargs: Any) -> Any:
            steps = super().get_steps_to_execute(*args, **kwargs)
            if not steps and not self.has_in_flight_steps and _waits(self):
                time.sleep(_PAUSE_SECONDS)
            return steps

    multiprocess.ActiveExecution = PatientExecution  # type: ignore[misc]
    return True


def _waits(execution: Any) -> bool:
    """Whether steps are held back by a pool or by the time of their next try, and not by one another."""
    pools = getattr(execution, "_instance_concurrency_context", None)
    return bool((pools and pools.has_pending_claims()) or getattr(execution, "_waiting_to_retry", None))
