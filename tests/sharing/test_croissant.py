"""Croissant metadata: the form of the specification (1.0), and no invented facts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from vad_toolkit.sharing.card import write_card
from vad_toolkit.sharing.croissant import TERMS

MakePack = Callable[..., Path]


def described(folder: Path, packs: list[Path], **options: Any) -> dict[str, Any]:
    write_card(packs, folder, **options)
    loaded: dict[str, Any] = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
    return loaded


def nodes(value: object) -> Iterator[dict[str, Any]]:
    """All JSON objects within a value, the context apart."""
    if isinstance(value, dict):
        yield value
        for name, item in value.items():
            if name != "@context":
                yield from nodes(item)
    elif isinstance(value, list):
        for item in value:
            yield from nodes(item)


def test_required_facts_that_are_stated(make_pack: MakePack, tmp_path: Path) -> None:
    pack = make_pack("p.h5", "Abuse/Abuse028_x264", license="MIT", dataset="ucf-crime")
    publication = {
        "url": "https://example.org/x",
        "creator": "A. Person",
        "published": "2026-01-31",
    }
    metadata = described(tmp_path, [pack], manifest="ucf-crime", **publication)
    assert metadata["@type"] == "sc:Dataset"
    assert metadata["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert metadata["license"] == "https://spdx.org/licenses/MIT.html"
    assert metadata["url"] == "https://example.org/x"
    assert metadata["creator"]["name"] == "A. Person"
    assert metadata["datePublished"] == "2026-01-31"
    assert "Sultani" in metadata["citeAs"]
    assert "rgb (N, 1, 8) float16" in metadata["description"]


def test_facts_that_are_not_stated_are_omitted(make_pack: MakePack, tmp_path: Path) -> None:
    metadata = described(tmp_path, [make_pack("p.h5", "a")])
    for name in ("license", "url", "creator", "datePublished", "citeAs"):
        assert name not in metadata
    own = described(tmp_path / "card", [make_pack("q.h5", "a", license="research only")])
    assert own["license"] == "research only"


def test_ids_are_unique_and_references_lead_somewhere(make_pack: MakePack, tmp_path: Path) -> None:
    metadata = described(tmp_path, [make_pack("p q.h5", "a"), make_pack("r.h5", "b")])
    ids = [node["@id"] for node in nodes(metadata) if "@id" in node and len(node) > 1]
    assert len(set(ids)) == len(ids)
    assert not any(" " in id for id in ids)
    references = {node["@id"] for node in nodes(metadata) if set(node) == {"@id"}}
    assert references <= set(ids)
    assert {"videos", "videos/id", "video-table", "pack-1", "pack-2"} <= set(ids)


def test_every_term_is_in_the_context(make_pack: MakePack, tmp_path: Path) -> None:
    metadata = described(tmp_path, [make_pack("p.h5", "a")])
    assert metadata["@context"] == TERMS["context"]
    croissant_terms = {"recordSet", "field", "key", "dataType", "source", "extract", "column"}
    used = {name for node in nodes(metadata) for name in node}
    assert croissant_terms | {"fileObject", "conformsTo"} <= used & set(TERMS["context"])


def test_the_record_set_reads_the_list_of_videos(make_pack: MakePack, tmp_path: Path) -> None:
    metadata = described(tmp_path, [make_pack("p.h5", "a")])
    (records,) = metadata["recordSet"]
    columns = [field["source"]["extract"]["column"] for field in records["field"]]
    header = (tmp_path / "videos.csv").read_text(encoding="utf-8").splitlines()[0]
    assert columns == header.split(",")
    assert records["key"] == {"@id": "videos/id"}
    packs = [entry for entry in metadata["distribution"] if entry["name"] != "videos.csv"]
    assert [entry["encodingFormat"] for entry in packs] == ["application/x-hdf5"]
    assert "no extractor for HDF5" in packs[0]["description"]
