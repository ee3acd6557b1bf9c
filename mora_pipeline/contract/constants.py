"""Constants of the method that more than one package uses, each with its source beside it."""

TOP_SHARE = 0.1  # of each origin's edges that the graph keeps: MoRA section 3.1
MAXIMUM_GAP_HOURS = 24.0  # between two records of a user that make a move: method.md, "Events → edges"
MAXIMUM_BAD_SHARE = 0.01  # of a source's rows that may be bad before a run fails: ours
