"""What is to be done: selection, transformation, and what a push makes of a source. Pure."""
