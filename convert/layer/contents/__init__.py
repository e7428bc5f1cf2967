"""What is in layers: the largest files and folders, and what later layers overwrite or delete."""
