"""The layouts of models that are known, one module each."""

from __future__ import annotations

from artifact_store.history.sets import Layout

LAYOUTS: tuple[Layout, ...] = ()
"""In the order in which they are tried; a folder may hold several."""
