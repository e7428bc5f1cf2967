"""Find the encoder of each layer, and rebuild a registry's blobs."""
