"""The bundled sample: a small parallel data set in nine languages, a task of each kind, for the demo and the tests."""
