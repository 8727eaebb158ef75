"""Many cells at once; for now the demo, a grid in small."""
