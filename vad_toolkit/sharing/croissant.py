"""Croissant metadata of packs: JSON-LD that dataset search and loaders read (MLCommons, version
1.0, https://docs.mlcommons.org/croissant/docs/croissant-spec.html).

Croissant 1.0 has no extractor for HDF5. So the record set that can be loaded is that of
`videos.csv`, a row a video; where its features lie in the packs is said in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from vad_toolkit.datasets.dataset_info import NOT_KNOWN
from vad_toolkit.sharing.facts import Facts, SharedFile
from vad_toolkit.sharing.licenses import license_url

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
VIDEOS = "videos"
VIDEO_TABLE = "videos.csv"
TABLE_ID = "video-table"

# Appendix 1 of the specification, with the terms that its text uses beside.
CONTEXT: Mapping[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}

# Columns of videos.csv beside the digests: Croissant's type, and what they are.
COLUMNS: Mapping[str, tuple[str, str]] = {
    "id": ("sc:Text", "The video: a path without suffix, unique."),
    "file": ("sc:Text", "The pack that holds its features."),
    "snippets": ("sc:Integer", "N of its features (N, C, D)."),
    "frames": ("sc:Integer", "Frames of the video that the features cover."),
    "fps": ("sc:Float", "Frames per second; empty where not known."),
    "width": ("sc:Integer", "Pixels, as displayed; empty where not known."),
    "height": ("sc:Integer", "Pixels, as displayed; empty where not known."),
}


def digest_column(stream: str) -> str:
    """The column of videos.csv with the sha256 of a stream's features."""
    return f"sha256_{stream}"


def croissant(facts: Facts, table: SharedFile) -> dict[str, Any]:
    """The metadata as JSON-LD; `table` is videos.csv.

    What Croissant requires and nobody stated (url, creator, date of publication, licence) is left
    out, not made up: a validator then warns of it.
    """
    publication = facts.publication
    streams = {stream: (facts.recipe.crop_count, width) for stream, width in facts.widths.items()}
    shapes = ", ".join(f"{stream} (N, {c}, {d})" for stream, (c, d) in streams.items())
    described: dict[str, Any] = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "name": facts.title,
        "description": f"Snippet features of {len(facts.videos):,} videos of {facts.dataset} for "
        f"weakly-supervised video anomaly detection: {shapes} float16 a video. Features only, "
        f"without videos or labels. Recipe {facts.recipe.sha256}, content {facts.content_sha256}.",
        "keywords": ["video anomaly detection", "features", "HDF5"],
        "dateCreated": facts.created,
    }
    optional = {
        "license": license_url(facts.license)
        or (facts.license if facts.license_is_stated else None),
        "url": publication.url,
        "datePublished": publication.date,
        "creator": publication.creator
        and {"@type": "sc:Organization", "name": publication.creator},
        "citeAs": facts.info.citation
        if facts.info is not None and facts.info.citation != NOT_KNOWN
        else None,
    }
    described |= {name: value for name, value in optional.items() if value is not None}
    described["distribution"] = [
        _file(TABLE_ID, table, "text/csv", "The videos, a row each: what the packs hold of them."),
        *(
            _file(
                f"pack-{number}",
                file,
                "application/x-hdf5",
                f"A vad-feature-pack, version 1 (HDF5) of {file.videos:,} videos. The array "
                f"/videos/<id>/<stream> has a video's features: {shapes}, float16. Croissant 1.0 "
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
        "@id": id,  # loaders take no spaces in it, which a file's name may have
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
        "description": "The videos. Their features are arrays in the packs, which no field here "
        "holds.",
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
