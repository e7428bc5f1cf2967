"""Readers: from an archive or layout to the model."""
