"""JSON as container tools read and write it: strict parsing, and the bytes that Go writes."""
