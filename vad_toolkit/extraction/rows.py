"""A video's features as they come, kept until it ends."""

from __future__ import annotations
