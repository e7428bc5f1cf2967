"""Destinations: tar files, streams and layout folders, written whole or not at all."""
