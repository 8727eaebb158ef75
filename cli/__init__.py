"""The command line, importable as `adapterxfer.cli`."""
