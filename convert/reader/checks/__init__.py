"""The formats read for all their faults: what a reader refuses with its first fault, `validate` lists in full.

A reader stops a document at its first fault, because what follows cannot be trusted. The checks here read on with
`View`, which takes a value of the wrong type as absent, and report each fault as a finding.
"""
