"""From a YAML file and overrides to one validated, immutable `Config`. Imports no torch."""
