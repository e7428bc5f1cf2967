"""The canonical in-memory model, and the value types that it is made of."""
