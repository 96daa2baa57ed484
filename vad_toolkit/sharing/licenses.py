"""Licences as people write them, as hubs and metadata know them."""

from __future__ import annotations

import re

from vad_toolkit.datasets.dataset_info import NOT_KNOWN
from vad_toolkit.packs.pack import LICENSE_NOT_STATED

# Identifiers of the Hugging Face hub, and SPDX's name for each (https://spdx.org/licenses).
SPDX_NAMES = {
    "apache-2.0": "Apache-2.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "cc0-1.0": "CC0-1.0",
    "cc-by-3.0": "CC-BY-3.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nd-4.0": "CC-BY-ND-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "cc-by-nc-nd-4.0": "CC-BY-NC-ND-4.0",
    "gpl-3.0": "GPL-3.0-only",
    "mit": "MIT",
    "odbl": "ODbL-1.0",
    "pddl": "PDDL-1.0",
    "unlicense": "Unlicense",
}


def hub_license(text: str) -> str:
    """The hub's identifier: one of its own, "unknown" where nothing is stated, else "other"."""
    if text in (LICENSE_NOT_STATED, NOT_KNOWN):
        return "unknown"
    slug = text.strip().lower().replace(" ", "-")
    return slug if slug in SPDX_NAMES else "other"


def license_slug(text: str) -> str:
    """Terms of one's own as a name for `license_name`: small letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:64] or "other"


def license_url(text: str) -> str | None:
    """SPDX's page of a licence that it knows; None for others."""
    name = SPDX_NAMES.get(hub_license(text))
    return f"https://spdx.org/licenses/{name}.html" if name else None
