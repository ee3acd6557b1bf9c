"""How much of a source may be bad: by its rows, and by what they carry (flow, people, counts)."""

from collections.abc import Collection, Mapping, Sequence

from mora_pipeline.contract.errors import UserError
from mora_pipeline.raw.tallies import GOOD, Count

EXAMPLES = 3


def check_share(
    name: str,
    counts: Mapping[str, Count],
    apart: Collection[str],
    allowed: float,
    setting: str,
    amount: str | None,
    examples: Sequence[str],
    folder: str | None = None,
) -> None:
    """Refuse a source without rows, with more bad rows than allowed or bad rows that carry more, or without a good one.

    What rows apart carry counts on neither side. A bad row that says nothing about its amount counts as a good one
    carries on average.

    Args:
        counts: all rows by reason.
        apart: the reasons that are no fault.
        allowed, setting: the share that may be bad, and the key of region.yaml that states it.
        amount: what rows carry, such as ``flow``; None: each is one.
        examples: a few bad rows, as JSON of the shapes of their values.
        folder: where all of them are; None: nowhere yet.
    """
    read = sum(count.rows for count in counts.values())
    if read == 0:
        raise UserError(f"{name} holds no rows.")
    bad = {reason: count for reason, count in counts.items() if reason != GOOD and reason not in apart}
    good, rows = counts.get(GOOD, Count()), sum(count.rows for count in bad.values())
    others = {reason: counts[reason] for reason in apart if reason in counts}
    kept_apart = f" Apart from these: {_listed(others)}." if others else ""
    shown = f" For example {', '.join(examples[:EXAMPLES])}." if examples else ""
    remedy = f"{shown}{f' All of them are in {folder}.' if folder else ''} Fix the file, or raise {setting}."
    considered = read - sum(count.rows for count in others.values())
    if rows > allowed * considered:
        raise UserError(
            f"{name}: {rows:,} of {considered:,} rows ({rows / considered:.2%}) are bad, more than {setting} = "
            f"{allowed:g} allows. {_listed(bad)}.{remedy}{kept_apart}"
        )
    if good.rows == 0:
        raise UserError(f"{name}: none of its {read:,} rows can be used. {_listed({**bad, **others})}.")
    if not bad or amount is None:
        return
    carried = sum(count.amount + count.unknown * _mean(good) for count in bad.values())
    total = carried + good.amount
    if carried > allowed * total:
        raise UserError(
            f"{name}: {rows:,} bad rows carry an estimated {carried / total:.1%} of its {amount} ({carried:,.0f} of "
            f"{total:,.0f}), more than {setting} = {allowed:g} allows. {_listed(bad)}.{_together(bad, good, amount)}"
            f"{remedy}"
        )


def _mean(good: Count) -> float:
    known = good.rows - good.unknown
    return good.amount / known if known else 0.0


def _listed(counts: Mapping[str, Count]) -> str:
    ordered = sorted(counts.items(), key=lambda item: -item[1].rows)
    return ", ".join(f"{reason}: {count.rows:,}" for reason, count in ordered)


def _together(bad: Mapping[str, Count], good: Count, amount: str) -> str:
    """A sentence where the values of a reason fail together because they are the largest."""
    for reason, count in bad.items():
        if count.rows > count.unknown and count.smallest > good.largest:
            return (
                f" Each that is bad for '{reason}' is larger than every good {amount} (the largest of which is "
                f"{good.largest:,g}): are they written in another way, such as 48,210 for 48210?"
            )
    return ""
