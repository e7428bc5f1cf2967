"""Drivers of the real programs that load archives: what happened, as one value.

`matrix.py` runs them over many archives and compares the outcomes with the rules of `convert.consumers`.
"""
