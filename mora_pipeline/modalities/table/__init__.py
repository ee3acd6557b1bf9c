"""Tables of places, such as ages."""
