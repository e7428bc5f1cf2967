"""What differs between two archives: images, configs, layers, and the files in layers.

Answers are values; nothing here prints.
"""
