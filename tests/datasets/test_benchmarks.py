"""Every known count of the benchmarks, as the shipped manifests give it."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import pytest

from vad_toolkit.datasets.registry import DATASETS, load_dataset
from vad_toolkit.datasets.summary import Summary, summarize

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
UCF_CLASSES = {
    "Abuse": (48, 2),
    "Arrest": (45, 5),
    "Arson": (41, 9),
    "Assault": (47, 3),
    "Burglary": (87, 13),
    "Explosion": (29, 21),
    "Fighting": (45, 5),
    "RoadAccidents": (127, 23),
    "Robbery": (145, 5),
    "Shooting": (27, 23),
    "Shoplifting": (29, 21),
    "Stealing": (95, 5),
    "Vandalism": (45, 5),
    "normal": (800, 150),
}
SIDES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "ucf-crime",
        "train",
        {
            "videos": 1610,
            "normal": 800,
            "abnormal": 810,
            "decoded_frames": 12_656_615,
            "anomaly_classes": 13,
            "classes": {name: counts[0] for name, counts in UCF_CLASSES.items()},
            "short_videos": 89,
            "longest_video": 976_503,
        },
    ),
    (
        "ucf-crime",
        "test",
        {
            "videos": 290,
            "normal": 150,
            "abnormal": 140,
            "decoded_frames": 1_111_808,
            "container_frames": 1_112_032,
            "differing_counts": 224,
            "anomaly_classes": 13,
            "classes": {name: counts[1] for name, counts in UCF_CLASSES.items()},
            "several_events": 16,
            "events_past_end": 5,
        },
    ),
    ("shanghaitech", "train", {"videos": 238, "normal": 175, "abnormal": 63}),
    (
        "shanghaitech",
        "test",
        {
            "videos": 199,
            "normal": 155,
            "abnormal": 44,
            "decoded_frames": 141_870,
            "frames_with_events": 17_472,
            "abnormal_frames": 7_962,
            "anomaly_classes": 0,
        },
    ),
    (
        "xd-violence",
        "train",
        {
            "videos": 3954,
            "normal": 2049,
            "abnormal": 1905,
            "anomaly_classes": 6,
            "multi_class_videos": 243,
        },
    ),
    (
        "xd-violence",
        "test",
        {
            "videos": 800,
            "normal": 300,
            "abnormal": 500,
            "decoded_frames": 2_335_801,
            "anomaly_classes": 6,
            "multi_class_videos": 47,
        },
    ),
    ("avenue", "train", {"videos": 16, "normal": 16, "abnormal": 0}),
    (
        "avenue",
        "test",
        {"videos": 21, "normal": 0, "abnormal": 21, "decoded_frames": 15_324},
    ),
    ("avenue-weak", "train", {"videos": 19, "normal": 8, "abnormal": 11}),
    ("avenue-weak", "test", {"videos": 18, "normal": 8, "abnormal": 10}),
    ("tad", "train", {"videos": 400, "normal": 210, "abnormal": 190, "anomaly_classes": 7}),
    (
        "tad",
        "test",
        {
            "videos": 100,
            "normal": 40,
            "abnormal": 60,
            "decoded_frames": 84_086,
            "annotated_abnormal_frames": 10_631,
            "abnormal_frames": 10_609,
            "events_past_end": 22,
            "anomaly_classes": 7,
        },
    ),
    ("ubnormal", "train", {"videos": 268, "normal": 186, "abnormal": 82}),
    ("ubnormal", "validation", {"videos": 64, "normal": 26, "abnormal": 38}),
    ("ubnormal", "test", {"videos": 211, "normal": 53, "abnormal": 158}),
    ("msad", "train", {"videos": 480, "normal": 360, "abnormal": 120, "anomaly_classes": 11}),
    ("msad", "test", {"videos": 240, "normal": 120, "abnormal": 120, "anomaly_classes": 11}),
    ("cctv-fights", "train", {"videos": 100, "normal": 54, "abnormal": 46, "anomaly_classes": 1}),
    ("cctv-fights", "test", {"videos": 49, "normal": 20, "abnormal": 29, "anomaly_classes": 1}),
]
ARRAYS = [
    ("ucf-crime", "deepmil", 1_109_680, 84_128, "deepmil"),
    ("ucf-crime", "rtfm_first_upload", 1_114_144, 84_343, "rtfm"),
    ("xd-violence", "xdviodet", 2_330_384, 537_805, "xdviodet"),
    ("shanghaitech", "rtfm", 142_912, 8_028, "rtfm"),
    ("shanghaitech", "tevad", 143_888, 8_028, "tevad"),
    ("avenue", "msad", 15_152, 3_854, "vadclip"),
    ("msad", "msad", 143_920, 33_160, "not known"),
]


@cache
def _summary(name: str, side: str) -> Summary:
    return summarize(load_dataset(name).sides[side])


@pytest.mark.parametrize(
    ("name", "side", "field", "count"),
    [(name, side, field, count) for name, side, counts in SIDES for field, count in counts.items()],
)
def test_counts(name: str, side: str, field: str, count: Any) -> None:
    assert getattr(_summary(name, side), field) == count


def test_xd_violence_has_290_videos_of_several_classes() -> None:
    assert (
        sum(_summary("xd-violence", side).multi_class_videos for side in ("train", "test")) == 290
    )


@pytest.mark.parametrize(("name", "array", "length", "abnormal", "rule"), ARRAYS)
def test_published_arrays(name: str, array: str, length: int, abnormal: int, rule: str) -> None:
    published = load_dataset(name).info.arrays[array]
    assert (published.length, published.abnormal, published.rule) == (length, abnormal, rule)
    assert published.used_by != "not known"


def test_no_other_arrays_are_named() -> None:
    named = {(name, array) for name, array, *_ in ARRAYS}
    names = {name for name, *_ in SIDES}
    assert {(name, a) for name in names for a in load_dataset(name).info.arrays} == named


def _cell(summary: Summary | None) -> str:
    if summary is None:
        return "-"
    return f"{summary.videos:,} ({summary.normal:,} + {summary.abnormal:,})"


@pytest.mark.parametrize("name", DATASETS)
def test_the_documented_table_says_the_same(name: str) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith(f"| `{name}` |")][:1]
    sides = load_dataset(name).sides
    cells = [
        _cell(_summary(name, side) if side in sides else None)
        for side in ("train", "validation", "test")
    ]
    assert row.startswith(f"| `{name}` | {' | '.join(cells)} | ")
    test = _summary(name, "test")
    if not test.frames_not_known:
        assert f"| {test.frames:,}, {test.abnormal_frames:,} |" in row


@pytest.mark.parametrize(("name", "array", "length", "abnormal", "rule"), ARRAYS)
def test_the_documented_arrays(
    name: str, array: str, length: int, abnormal: int, rule: str
) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert f"| `{name}` | `{array}` | {length:,} | {abnormal:,} | " in text
