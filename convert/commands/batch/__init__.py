"""Many sources, one command: items, engines and the journal. `convert.batch` is the public module."""
