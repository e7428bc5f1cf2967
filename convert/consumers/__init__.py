"""Will it load there: what programs that load archives make of one, and what helps.

`rules.py` is the table of rules; the properties that they name are in one module for each family of programs.
`contents.py` is how the rules look at an archive, `consumer.py` names programs and versions, `names.py` the names and
IDs that they show, and `diagnose.py` applies the rules.
"""
