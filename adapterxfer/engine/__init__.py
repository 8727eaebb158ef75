"""The encoder driver, and inference with it."""
