"""The in-memory model of images, and its value types."""
