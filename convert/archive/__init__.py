"""Archives and folders: names to bytes in, members to files out. Knows no image."""
