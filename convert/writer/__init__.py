"""The formats: one file for each that is written, one for each family that is read."""
