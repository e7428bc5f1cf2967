"""Writers: one module for each format, and the destinations that they write to (`dest/`)."""
