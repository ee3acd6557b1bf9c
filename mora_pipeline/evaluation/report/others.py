"""Rows of a table that are no scores of this benchmark: what papers report, and an optimistic twin of our own row."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from mora_pipeline.evaluation.protocol.parameters import MORA
from mora_pipeline.region import ReportedScores

EPOCH = "epoch chosen"  # head of the column that says how
REPORTED, OPTIMISTIC = " †", f"{MORA}, best of seeds"  # a mark behind a paper's method; the key of the optimistic row
COUNTS = {10: "ten", 5: "five", 3: "three", 2: "two"}
OURS_CHOSE, NOT_TOLD = "no label seen", "not said"


@dataclass(frozen=True)
class Others:
    """What stands beside the scores of the protocol `region_papers`.

    Attributes:
        reported: of region.yaml.
        best_of_seeds: `BestOfSeeds.facts`.
    """

    reported: ReportedScores | None = None
    best_of_seeds: Mapping[str, Any] | None = None

    def beside(self, scores: pd.DataFrame) -> pd.DataFrame:
        """Methods × tasks with these rows: the optimistic one below our embeddings, the reported ones last."""
        own = list(scores.index)
        at = own.index(MORA) + 1 if MORA in own else len(own)
        parts = [scores.iloc[:at]]
        if self.best_of_seeds:
            parts.append(self._rows({OPTIMISTIC: self.best_of_seeds["scores"]}, scores))
        parts.append(scores.iloc[at:])
        if self.reported:
            parts.append(self._rows({name + REPORTED: row for name, row in self.reported.scores.items()}, scores))
        return pd.concat([part for part in parts if len(part)])

    @staticmethod
    def _rows(rows: Mapping[str, Mapping[str, float]], scores: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame.from_dict(dict(rows), orient="index").reindex(columns=scores.columns).astype("float64")

    def titles(self) -> dict[str, str]:
        """Names of rows as people read them, where they differ."""
        if not self.best_of_seeds:
            return {}
        seeds = self.best_of_seeds["seeds"]
        return {OPTIMISTIC: f"{MORA}, best of {COUNTS.get(seeds, seeds)} seeds a task, as theirs ¶"}

    def epochs(self, names: Iterable[str]) -> dict[str, str]:
        """How the epoch of each row was chosen; empty where nothing is known of others."""
        declared = self.reported.epochs if self.reported else {}
        if not declared and not self.best_of_seeds:
            return {}
        chosen = {OPTIMISTIC: "best seed of each task, chosen on the tested labels"}
        for name in self.reported.scores if self.reported else ():
            chosen[name + REPORTED] = declared.get(name, NOT_TOLD)
        return {name: chosen.get(name, OURS_CHOSE) for name in names}

    def notes(self) -> list[str]:
        """What the marks mean."""
        notes = []
        if self.best_of_seeds:
            notes.append(
                f"¶ Optimistic, and not comparable with the other rows: the preset {self.best_of_seeds['preset']} was "
                f"trained from {self.best_of_seeds['seeds']} seeds, and each task shows its best score on the tested "
                "labels, a choice that some of the papers' figures hold as well. It counts in no comparison."
            )
        return [*notes, f"† {self.reported.source}"] if self.reported else notes
