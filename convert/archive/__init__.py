"""Archives and folders as members with names and bytes; images are known to the readers and writers only."""
