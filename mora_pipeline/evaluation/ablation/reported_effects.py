"""The effects of the paper's ablations in China, and whether a region's own effect agrees with them."""

import math
from collections.abc import Mapping

ANCHOR, WITHOUT = "anchor: ", "without "  # followed by a modality
TOP, RANDOM = "top ", "random "  # followed by a share: the strongest flows of each origin, or as many by chance
SAMPLING = "sampling: "  # followed by one of these
SAME, WORSE = "about the same", "worse"
# Mean R² relative to the whole method, as MoRA reports it for China (method.md).
REPORTED_EFFECTS: Mapping[str, str] = {
    "graph: neighbours": "−12.2 %",
    "mobility alone": "−6.5 %",
    "start: random": "−1 to −2 %",
}
# Worked out from what it prints, by kind of modality. Demographics as the anchor: mobility is 16.8 % above it, and
# 1 / 1.168 = .856. Without POI, imagery or demographics: .765, .762 or .748, where the whole has .779.
REPORTED_ANCHORS: Mapping[str, str] = {"table": "−14.4 % ‡"}
REPORTED_WITHOUT: Mapping[str, str] = {"text": "−1.8 % ‡", "image": "−2.2 % ‡", "table": "−4.0 % ‡"}
DERIVED = "‡ Worked out from means that the paper prints, for its one modality of that kind."
ALIKE = {"top 10 %", "top 30 %"}  # the paper: 10 % or 30 % of the flows hardly matters

HOLDS, FAILS, UNDECIDED = "holds", "does not hold", "undecided"
SAME_WITHIN = 1.0  # per cent: the paper counts the 1 to 2 % of a random start as an effect


def reported_effect(variant: str, kinds: Mapping[str, str], graph: str = "") -> str:
    """What the paper reports for a variant, relative to the whole method; empty if it says nothing.

    Args:
        kinds: kind of each modality of the region (text, image, table). The paper has one of each; where a region has
            several of a kind, none of them is the paper's.
        graph: how the base's graph was sampled, such as `top 10 %`; what the paper says of sampling depends on it.
    """
    for prefix, by_kind in ((ANCHOR, REPORTED_ANCHORS), (WITHOUT, REPORTED_WITHOUT)):
        if variant.startswith(prefix):
            kind = kinds.get(variant.removeprefix(prefix), "")
            return by_kind.get(kind, "") if list(kinds.values()).count(kind) == 1 else ""
    if variant.startswith(SAMPLING):
        return _reported_sampling(variant.removeprefix(SAMPLING), graph)
    return REPORTED_EFFECTS.get(variant, "")


def _reported_sampling(sample: str, graph: str) -> str:
    if {sample, graph} == ALIKE:
        return SAME
    return WORSE if graph.startswith(TOP) and sample == RANDOM + graph.removeprefix(TOP) else ""


def agreement(reported: str, low: float, high: float) -> str:
    """Whether the paper's effect holds here: its sign, for its size is of China's data. Empty if it says nothing.

    A loss (all that the paper changed made it worse or left it the same) holds where the whole interval is below 0,
    and does not hold where it is above. `SAME` holds where the whole interval is within ±`SAME_WITHIN`, and does
    not hold where the two do not meet. All else is undecided.

    Args:
        reported: the paper's effect, from `reported_effect`.
        low, high: interval of the region's own effect, per cent of the base; NaN if there is none.
    """
    if not reported or math.isnan(low) or math.isnan(high):
        return ""
    if reported == SAME:
        holds, fails = low >= -SAME_WITHIN and high <= SAME_WITHIN, low > SAME_WITHIN or high < -SAME_WITHIN
    else:
        holds, fails = high < 0, low > 0
    return HOLDS if holds else FAILS if fails else UNDECIDED
