"""Examples as token rows, rows as batches, and model outputs as predictions."""
