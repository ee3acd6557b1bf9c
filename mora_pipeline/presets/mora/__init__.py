"""The preset `mora`: one vector of parts, each of which tells what the others cannot."""
