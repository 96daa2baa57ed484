"""Croissant metadata of packs: JSON-LD for dataset search and loaders.

Source: MLCommons Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html

`croissant_terms.json` has the context, appendix 1 of the specification with the terms that its text
also uses, and the columns of videos.csv besides the digests: Croissant's type and the description.

Croissant 1.0 has no extractor for HDF5. The record set that can be loaded is therefore that of
`videos.csv`, one row per video; the place of its features in the packs is described in words.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

from vad_toolkit.datasets.dataset_info import NOT_KNOWN
from vad_toolkit.sharing.facts import Facts, SharedFile, digest_column
from vad_toolkit.sharing.origin import license_url

VIDEOS = "videos"
VIDEO_TABLE = "videos.csv"
TABLE_ID = "video-table"
TERMS = json.loads(Path(__file__).with_name("croissant_terms.json").read_text(encoding="utf-8"))


def croissant(facts: Facts, table: SharedFile) -> dict[str, Any]:
    """Return the metadata as JSON-LD; `table` is the file videos.csv.

    Facts that Croissant requires but nobody has stated (url, creator, date of publication, license)
    are omitted, so that a validator warns about them.
    """
    crops, recipe = facts.recipe.crop_count, facts.recipe.sha256
    shapes = ", ".join(f"{stream} (N, {crops}, {width})" for stream, width in facts.widths.items())
    stated = facts.license if facts.license_is_stated else None
    cited = facts.info is not None and facts.info.citation != NOT_KNOWN
    described = {
        "@context": TERMS["context"],
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "name": facts.title,
        "description": f"Snippet features of {len(facts.videos):,} videos of {facts.dataset} for "
        f"weakly-supervised video anomaly detection: {shapes} float16 per video. Features only, "
        f"without videos or labels. Recipe {recipe}, content {facts.content_sha256}.",
        "keywords": ["video anomaly detection", "features", "HDF5"],
        "dateCreated": facts.created,
        "license": license_url(facts.license) or stated,
        "url": facts.url,
        "datePublished": facts.published,
        "creator": facts.creator and {"@type": "sc:Organization", "name": facts.creator},
        "citeAs": facts.info.citation if facts.info and cited else None,
        "distribution": [
            _file(TABLE_ID, table, "text/csv", "The videos of the packs, one per row."),
            *(
                _file(
                    f"pack-{number}",
                    file,
                    "application/x-hdf5",
                    f"A vad-feature-pack, version 1 (HDF5) of {file.videos:,} videos. The array "
                    f"/videos/<id>/<stream> holds a video's features: {shapes}, float16. Croissant "
                    "1.0 has no extractor for HDF5: read it with h5py, as README.md shows.",
                )
                for number, file in enumerate(facts.files, start=1)
            ),
        ],
        "recordSet": [_record_set(list(facts.widths))],
    }
    return {name: value for name, value in described.items() if value is not None}


def _file(id: str, file: SharedFile, encoding: str, description: str) -> dict[str, Any]:
    return {
        "@type": "cr:FileObject",
        "@id": id,  # not the name: loaders accept no spaces here
        "name": file.name,
        "description": description,
        "contentUrl": quote(file.name),
        "contentSize": f"{file.bytes} B",
        "encodingFormat": encoding,
        "sha256": file.sha256,
    }


def _record_set(streams: list[str]) -> dict[str, Any]:
    digest = "sha256 of the video's {} features: C order, little-endian float16."
    digests = {digest_column(stream): ("sc:Text", digest.format(stream)) for stream in streams}
    return {
        "@type": "cr:RecordSet",
        "@id": VIDEOS,
        "name": VIDEOS,
        "description": "The videos. Their features are arrays in the packs and not a field here.",
        "key": {"@id": f"{VIDEOS}/id"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{VIDEOS}/{name}",
                "name": name,
                "description": description,
                "dataType": kind,
                "source": {"fileObject": {"@id": TABLE_ID}, "extract": {"column": name}},
            }
            for name, (kind, description) in (TERMS["columns"] | digests).items()
        ],
    }
