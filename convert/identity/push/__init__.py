"""The tools whose push is computed: what each reads, and what it uploads."""
