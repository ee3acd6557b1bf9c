"""The names of amounts: ``whole: part``, such as ``count: cafe``, with two parts that say more than themselves."""

TOTAL = "(total)"  # all parts together: who knows the parts knows it, and the other way about
REST = "(rest)"  # the parts without a column of their own; where it is there, a part without a column is 0 or in it


def part_of(whole: str, part: str) -> str:
    """The name of an amount that is a part of another."""
    return f"{whole}: {part}"


def whole_of(name: str) -> str:
    """What an amount is a part of; itself, if it is no part."""
    return name.partition(": ")[0]
