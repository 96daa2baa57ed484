"""Recipes of imported features, and the snippet that scores each frame."""

from __future__ import annotations

import numpy as np
import pytest

from vad_toolkit.core.crops import crop_order
from vad_toolkit.errors import InputError
from vad_toolkit.recipes.imported import ImportedRecipe, segment_of_frame
from vad_toolkit.recipes.recipe import parse_recipe

CROPS = crop_order("torchvision", 10)


def test_a_recipe_comes_back_from_its_json() -> None:
    recipe = ImportedRecipe(
        layout="rtfm",
        features="I3D-ResNet50",
        rule="rtfm",
        crop_order=CROPS,
        streams=("rgb", "flow"),
    )
    again = parse_recipe(recipe.canonical_json())
    assert again == recipe
    assert again.sha256 == recipe.sha256
    assert (recipe.crop_count, recipe.weights, recipe.snippet_count(1000)) == (10, {}, None)


def test_a_later_field_at_its_default_changes_no_hash() -> None:
    class Newer(ImportedRecipe):
        extra: int = 0

    fields = {"layout": "rtfm", "crop_order": ("center",)}
    sha256 = "25407c2a5d836946362b756772e558b648bc60dbb2683d9e466d5244cf2d99b4"
    assert ImportedRecipe.model_validate(fields).sha256 == sha256  # as packs on disk have it
    assert Newer.model_validate(fields).sha256 == sha256
    newer = Newer.model_validate(fields | {"extra": 1})
    assert newer.sha256 != sha256
    with pytest.raises(InputError, match=r"field extra: not known .*install vad-toolkit>=99\.0"):
        parse_recipe(newer.canonical_json(), written_by="99.0")


@pytest.mark.parametrize(
    "change",
    [
        {"layout": "per-crop"},
        {"features": "another"},
        {"rule": "deepmil"},
        {"spans": "segments"},
        {"step": 8},
        {"crop_order": crop_order("gowtham", 10)},
        {"streams": ("flow",)},
    ],
)
def test_all_that_is_known_counts(change: dict[str, object]) -> None:
    fields: dict[str, object] = {"layout": "rtfm", "crop_order": CROPS}
    plain = ImportedRecipe.model_validate(fields)
    assert ImportedRecipe.model_validate(fields | change).sha256 != plain.sha256


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ('{"kind":"imported","crop_order":["center"]}', "recipe field layout: missing"),
        ('{"kind":"imported","layout":"x","crop_order":["middle"]}', "crop_order must name"),
        ('{"kind":"imported","layout":"x","crop_order":[]}', "crop_order must name"),
        (
            '{"kind":"imported","layout":"x","crop_order":["center"],"streams":["rgb","rgb"]}',
            "streams must name rgb, flow or both, each once",
        ),
        (
            '{"kind":"imported","layout":"x","crop_order":["center"],"streams":["audio"]}',
            "recipe field streams.0: Input should be 'rgb' or 'flow'",
        ),
        (
            '{"kind":"imported","layout":"x","crop_order":["center"],"backbone":"i3d"}',
            "recipe field backbone: unknown; available: kind, layout",
        ),
    ],
)
def test_recipes_that_are_refused(text: str, match: str) -> None:
    with pytest.raises(InputError, match=match):
        parse_recipe(text)


def test_frames_of_steps() -> None:
    recipe = ImportedRecipe(layout="rtfm", crop_order=CROPS)
    snippets = recipe.frame_snippets(3, 60)  # a snippet too few: the last one has what is left
    np.testing.assert_array_equal(snippets, np.repeat([0, 1, 2], [16, 16, 28]))


@pytest.mark.parametrize(("frames", "snippets"), [(32 * 16 * 4 + 5, 128), (5000, 312)])
def test_frames_of_equal_parts(frames: int, snippets: int) -> None:
    recipe = ImportedRecipe(layout="sultani", spans="segments", crop_order=("center",))
    parts = recipe.frame_snippets(32, frames)
    assert parts.shape == (frames,)
    assert (parts[0], parts[-1]) == (0, 31)
    assert (np.diff(parts) >= 0).all()
    lengths = np.bincount(parts, minlength=32)
    assert set(lengths[1:-1] // 16) <= {snippets // 32 - 1, snippets // 32, snippets // 32 + 1}


def test_a_video_with_fewer_snippets_than_parts() -> None:
    parts = segment_of_frame(32, 5 * 16, 16)
    assert len(np.unique(parts)) == 5
    assert parts[-1] == 31
    np.testing.assert_array_equal(segment_of_frame(32, 3, 16), [31, 31, 31])
