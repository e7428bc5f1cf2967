"""Destinations: tar files, tar streams and layout folders."""
