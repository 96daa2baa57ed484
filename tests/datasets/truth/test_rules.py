"""Ground-truth rules: each part on its own, what a dataset changes, and what has no labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from vad_toolkit.datasets.manifest import Entry
from vad_toolkit.datasets.truth.rules import RULES, Rule, label_count, load_rule, rule_labels
from vad_toolkit.errors import InputError, ManifestError


def video(**fields: object) -> Entry:
    """An abnormal video of 40 frames."""
    known = {"id": "a", "path": "a.mp4", "label": 1, "frames": 40, "events": ((10, 20),)}
    return Entry.model_validate(known | fields)


def ones(entry: Entry, rule: Rule) -> tuple[int, list[int]]:
    """How many labels, and the indices of those that are 1."""
    labels = rule_labels(entry, "any", rule)
    assert labels.dtype == np.uint8
    assert len(labels) == label_count(entry, "any", rule)
    return len(labels), np.flatnonzero(labels).tolist()


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("frames", {16: 16, 17: 17, 33: 33}),
        ("deepmil", {17: 16, 32: 16, 33: 32}),
        ("rtfm", {1: 16, 16: 16, 17: 32, 32: 32, 33: 48}),
        ("vadclip", {16: 16, 17: 16, 31: 16, 32: 32}),
        ("xdviodet", {17: 16, 32: 16, 33: 32}),
        ("tevad", {1: 16, 15: 16, 16: 32, 31: 32, 32: 48}),
    ],
)
def test_label_counts_of_the_built_in_rules(name: str, counts: dict[int, int]) -> None:
    for frames, count in counts.items():
        entry = Entry(id="n", path="n.mp4", label=0, frames=frames, container_frames=frames)
        assert label_count(entry, name, RULES[name]) == count


def test_the_container_rule_reads_the_container() -> None:
    entry = video(frames=32, container_frames=33)
    assert label_count(entry, "deepmil", RULES["deepmil"]) == 32
    assert label_count(entry, "xdviodet", RULES["xdviodet"]) == 16


def test_an_end_is_the_first_normal_frame_or_the_last_abnormal_one() -> None:
    assert ones(video(), Rule()) == (40, list(range(10, 20)))
    assert ones(video(), Rule(end="inclusive")) == (40, list(range(10, 21)))
    two = video(events=((10, 20), (20, 22)))  # may touch, and then overlap when ends are included
    assert ones(two, Rule(end="inclusive"))[1] == list(range(10, 23))


def test_an_event_past_the_end_goes_on_in_the_padded_tail_and_no_further() -> None:
    entry = video(events=((30, 44),))
    assert ones(entry, Rule(rounding="ceil")) == (48, list(range(30, 44)))
    assert ones(entry, Rule(rounding="ceil", end="inclusive")) == (48, list(range(30, 45)))
    assert ones(video(events=((30, 99),)), Rule(rounding="ceil")) == (48, list(range(30, 48)))
    assert ones(entry, Rule(rounding="floor")) == (32, [30, 31])


def test_an_event_that_begins_in_the_padded_tail() -> None:
    entry = video(events=((10, 12), (42, 44)))
    assert ones(entry, Rule(rounding="ceil")) == (48, [10, 11, 42, 43])
    assert ones(entry, Rule(rounding="ceil", tail="repeat")) == (48, [10, 11])
    assert ones(entry, Rule()) == (40, [10, 11])
    assert ones(video(events=((36, 40),)), Rule(rounding="floor")) == (32, [])


def test_a_tail_repeats_the_last_frame() -> None:
    rule = Rule(offset=1, rounding="ceil", tail="repeat")
    assert ones(video(events=((38, 40),)), rule) == (48, list(range(38, 48)))
    assert ones(video(events=((38, 39),)), rule) == (48, [38])
    assert ones(video(frames=48, events=((47, 48),)), rule) == (64, list(range(47, 64)))
    cut = Rule(rounding="floor", tail="repeat")  # no tail to fill
    assert ones(video(events=((38, 40),)), cut) == (32, [])


def test_published_counts_come_before_the_rule() -> None:
    entry = video(events=((38, 40),), label_counts={"rtfm": 64})
    repeat = Rule(rounding="ceil", tail="repeat")
    assert rule_labels(entry, "rtfm", repeat).tolist() == [0] * 38 + [1] * 26
    assert len(rule_labels(entry, "other", repeat)) == 48
    shorter = video(label_counts={"rtfm": 16})
    assert rule_labels(shorter, "rtfm", repeat).tolist() == [0] * 10 + [1] * 6
    # Normal videos need no frame count then.
    normal = Entry(id="n", path="n.mp4", label=0, label_counts={"rtfm": 32})
    assert rule_labels(normal, "rtfm", repeat).tolist() == [0] * 32


def test_a_missing_count_names_video_and_field() -> None:
    with pytest.raises(
        ManifestError, match=r"'a': rule tevad needs decoded frames, but frames is not known"
    ):
        rule_labels(video(frames=None), "tevad", RULES["tevad"])
    for unknown in (None, 0):  # a container's 0 says nothing
        with pytest.raises(ManifestError, match=r"needs container frames, but container_frames is"):
            label_count(video(container_frames=unknown), "deepmil", RULES["deepmil"])
    counted = video(frames=None, label_counts={"tevad": 48})
    with pytest.raises(ManifestError, match=r"frames is not known"):  # where the tail begins
        rule_labels(counted, "tevad", RULES["tevad"])


def test_unknown_events_and_videos_too_short_are_refused() -> None:
    with pytest.raises(ManifestError, match="'a' is abnormal, but its events are not known"):
        rule_labels(video(events=None), "frames", RULES["frames"])
    with pytest.raises(
        ManifestError, match="'a': 16 frames are too few for a label by rule xdviodet"
    ):
        label_count(video(frames=16), "xdviodet", RULES["xdviodet"])


def test_a_dataset_changes_a_rule_and_has_rules_of_its_own() -> None:
    changes = {
        "rtfm": {"end": "exclusive", "tail": "repeat"},
        "own": {"rounding": "floor", "snippet_frames": 24},
    }
    name, rule = load_rule("rtfm", changes)
    assert (name, rule) == (
        "rtfm",
        Rule(rounding="ceil", tail="repeat", dtype="float64"),
    )
    assert load_rule("own", changes) == ("own", Rule(rounding="floor", snippet_frames=24))
    assert load_rule("rtfm") == ("rtfm", RULES["rtfm"])
    with pytest.raises(
        InputError, match=r"unknown ground-truth rule 'own'; .* one of frames, deepmil"
    ):
        load_rule("own")
    with pytest.raises(InputError, match=r"rule rtfm: field end: Input should be 'exclusive' or"):
        load_rule("rtfm", {"rtfm": {"end": "both"}})


def test_a_rule_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('rounding = "ceil"\noffset = -1\ndtype = "int64"\n')
    rule = Rule(rounding="ceil", offset=-1, dtype="int64")
    assert load_rule(str(file)) == ("mine", rule)
    (tmp_path / "mine.json").write_text('{"rounding": "ceil", "offset": -1, "dtype": "int64"}')
    assert load_rule(str(tmp_path / "mine.json")) == ("mine", rule)
    assert load_rule(str(file), {"rtfm": {"end": "exclusive"}}) == ("mine", rule)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        (
            'rounding = "up"',
            r"mine\.toml: field rounding: Input should be 'none', 'floor' or 'ceil' \(given",
        ),
        ("ofset = 1", r"mine\.toml: field ofset: unknown; available: count, offset, rounding"),
        ("offset = 17", r"field offset: Input should be less than or equal to 16 \(given: 17\)"),
        ("offset = true", r"field offset: Input should be a valid integer"),
        ("rounding", r"mine\.toml is not a ground-truth rule: "),
    ],
)
def test_a_wrong_rule_file_is_refused(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(InputError, match=match):
        load_rule(str(tmp_path / "mine.toml"))


def test_a_rule_file_has_a_name_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "rtfm.toml").write_text('rounding = "ceil"')
    with pytest.raises(InputError, match=r"rtfm\.toml: rtfm is the name of another rule"):
        load_rule(str(tmp_path / "rtfm.toml"))
    with pytest.raises(
        InputError, match=r"unknown ground-truth rule 'none'; .* or one of frames, "
    ):
        load_rule("none")
