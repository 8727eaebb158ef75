"""Metrics as plain functions, the score of a task in a language, and intervals for differences. Scores are 0..100."""
