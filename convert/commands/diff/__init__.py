"""Compare two archives: images, configs, layers, and the files in layers. Nothing here prints."""
