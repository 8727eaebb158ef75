"""Modules: specs, the composition expression, putting it on a backbone, heads, reading and writing."""
