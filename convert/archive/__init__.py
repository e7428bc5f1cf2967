"""Archives and folders as members with names and bytes; only readers and writers know about images."""
