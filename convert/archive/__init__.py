"""Archives as trees of named bytes; nothing here knows what an image is."""
