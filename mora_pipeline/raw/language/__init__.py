"""The language of expressions over columns: words, grammar, kinds of values, functions. Used through `expressions`."""
