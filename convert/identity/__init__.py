"""What an image is called: v1 IDs, ChainIDs, manifests, indexes, and what each push tool makes of them."""
