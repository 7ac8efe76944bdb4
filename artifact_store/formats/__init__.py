"""Checks of model files by a few ranged reads: what the header says against what the file is.

One format a module, each a pure generator; `check` chooses by name. No file is ever unpickled, sizes and depths are
bounded, and a hostile file costs an error.
"""
