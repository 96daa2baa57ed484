"""Croissant metadata of packs: JSON-LD for dataset search and loaders.

Source: MLCommons Croissant 1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html

Croissant 1.0 has no extractor for HDF5. The record set that can be loaded is therefore that of
`videos.csv`, one row per video; the place of its features in the packs is described in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from vad_toolkit.datasets.dataset_info import NOT_KNOWN
from vad_toolkit.sharing.facts import Facts, SharedFile, digest_column
from vad_toolkit.sharing.origin import license_url

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
VIDEOS = "videos"
VIDEO_TABLE = "videos.csv"
TABLE_ID = "video-table"

# Appendix 1 of the specification, with the terms that its text also uses.
_TERMS = (
    "citeAs column equivalentProperty extract field fileObject fileProperty fileSet format "
    "includes isLiveDataset jsonPath key md5 parentField path recordSet references regex "
    "repeated replace samplingRate separator source subField transform"
)
CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "rai": "http://mlcommons.org/croissant/RAI/",
    "sc": "https://schema.org/",
    **{term: f"cr:{term}" for term in _TERMS.split()},
}

# Columns of videos.csv besides the digests: Croissant's type and the description.
COLUMNS: Mapping[str, tuple[str, str]] = {
    "id": ("sc:Text", "The video: a unique path without suffix."),
    "file": ("sc:Text", "The pack that holds its features."),
    "snippets": ("sc:Integer", "Number of snippets: N of the features (N, C, D)."),
    "frames": ("sc:Integer", "Frames of the video that the features cover."),
    "fps": ("sc:Float", "Frames per second; empty if not known."),
    "width": ("sc:Integer", "Pixels, as displayed; empty if not known."),
    "height": ("sc:Integer", "Pixels, as displayed; empty if not known."),
}


def croissant(facts: Facts, table: SharedFile) -> dict[str, Any]:
    """Return the metadata as JSON-LD.

    Facts that Croissant requires but nobody has stated (url, creator, date of publication, license)
    are omitted, so that a validator warns about them.

    Args:
        facts: The facts about the packs.
        table: The file videos.csv.
    """
    streams = {stream: (facts.recipe.crop_count, width) for stream, width in facts.widths.items()}
    shapes = ", ".join(f"{stream} (N, {c}, {d})" for stream, (c, d) in streams.items())
    described: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": facts.title,
        "description": f"Snippet features of {len(facts.videos):,} videos of {facts.dataset} for "
        f"weakly-supervised video anomaly detection: {shapes} float16 per video. Features only, "
        f"without videos or labels. Recipe {facts.recipe.sha256}, content {facts.content_sha256}.",
        "keywords": ["video anomaly detection", "features", "HDF5"],
        "dateCreated": facts.created,
    }
    optional = {
        "license": license_url(facts.license)
        or (facts.license if facts.license_is_stated else None),
        "url": facts.url,
        "datePublished": facts.published,
        "creator": facts.creator and {"@type": "sc:Organization", "name": facts.creator},
        "citeAs": facts.info.citation
        if facts.info is not None and facts.info.citation != NOT_KNOWN
        else None,
    }
    described |= {name: value for name, value in optional.items() if value is not None}
    described["distribution"] = [
        _file(TABLE_ID, table, "text/csv", "The videos of the packs, one per row."),
        *(
            _file(
                f"pack-{number}",
                file,
                "application/x-hdf5",
                f"A vad-feature-pack, version 1 (HDF5) of {file.videos:,} videos. The array "
                f"/videos/<id>/<stream> holds a video's features: {shapes}, float16. Croissant 1.0 "
                "has no extractor for HDF5: read it with h5py, as README.md shows.",
            )
            for number, file in enumerate(facts.files, start=1)
        ),
    ]
    described["recordSet"] = [_record_set(streams)]
    return described


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


def _record_set(streams: Mapping[str, tuple[int, int]]) -> dict[str, Any]:
    columns = dict(COLUMNS)
    for stream in streams:
        columns[digest_column(stream)] = (
            "sc:Text",
            f"sha256 of the video's {stream} features: C order, little-endian float16.",
        )
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
            for name, (kind, description) in columns.items()
        ],
    }
