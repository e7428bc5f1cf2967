"""Each command as a library function."""
