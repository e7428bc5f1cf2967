"""Compression: profiles that fix every byte, and streams that read any."""
