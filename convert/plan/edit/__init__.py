"""Edits of the images of a source: leave images out, change names, rewrite indexes (docs/contract.md#editing). Pure."""
