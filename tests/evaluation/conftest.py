"""A small pack, its manifest and runs, for every test of evaluation."""

from __future__ import annotations

from fixtures.runs import make_pack, make_run, manifest, one_thread, pack, recipe, run

__all__ = ["make_pack", "make_run", "manifest", "one_thread", "pack", "recipe", "run"]
