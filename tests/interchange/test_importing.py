"""Imports: ids and counts come from the manifest; misfits are reported, wrong files refused."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import vad_toolkit
from vad_toolkit.core.crops import ORDER_NAMES, crop_index, crop_order
from vad_toolkit.core.files import canonical_json, sha256_file, sha256_text
from vad_toolkit.core.progress import ProgressEvent
from vad_toolkit.datasets.manifest import Entry, Manifest
from vad_toolkit.datasets.registry import find_manifest
from vad_toolkit.errors import InputError, ManifestError
from vad_toolkit.interchange.importing import import_features
from vad_toolkit.packs import video as video_module
from vad_toolkit.packs.pack import FeaturePack
from vad_toolkit.recipes.imported import ImportedRecipe

Features = Mapping[str, np.ndarray]
WriteFiles = Callable[..., Path]
ABUSE = "Abuse/Abuse028_x264"
NORMAL = "Normal/Normal_Videos_003_x264"


def half(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float16)


def test_rtfm(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files(features)
    report = import_features(
        root,
        tmp_path / "p.h5",
        layout="rtfm",
        manifest=manifest,
        features="I3D-ResNet50",
        license="none",
    )
    assert report.lines() == []
    assert (report.videos, report.snippets, report.rule) == (3, 7 + 89 + 22, "rtfm")
    error = max(
        float(np.abs(half(array).astype(np.float64) - array).max()) for array in features.values()
    )
    assert report.rounding_absolute == error
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        assert pack.verify() == []
        assert (pack.dataset, pack.license) == ("made-up", "none")
        assert pack.recipe == ImportedRecipe(
            layout="rtfm",
            features="I3D-ResNet50",
            rule="rtfm",
            crop_order=crop_order("torchvision", 10),
        )
        for id, array in features.items():
            np.testing.assert_array_equal(pack.features(id), half(array))
        meta = pack.meta(ABUSE)
        assert (meta.frames, meta.frames_reported, meta.fps) == (1412, 1413, 30.0)
        assert (meta.width, meta.height, meta.frames_duplicated) == (0, 0, 0)
        assert (meta.decoder, meta.decoder_version) == ("imported", vad_toolkit.__version__)
        assert meta.source_sha256 == sha256_file(root / "Abuse028_x264_i3d.npy")
        assert pack.meta(NORMAL).fps == 0.0


@pytest.mark.parametrize("order", ORDER_NAMES)
@pytest.mark.parametrize("layout", ["rtfm", "per-crop", "ten-first"])
def test_crop_orders(
    layout: str,
    order: str,
    write_files: WriteFiles,
    features: Features,
    manifest: Manifest,
    tmp_path: Path,
) -> None:
    root = write_files(features, layout, order)
    import_features(
        root, tmp_path / "p.h5", layout=layout, manifest=manifest, crop_order=order, rule="rtfm"
    )
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        have, want = pack.recipe.crop_order, crop_order("torchvision", 10)
        assert have == crop_order(order, 10)
        for id, array in features.items():
            np.testing.assert_array_equal(pack.features(id)[:, crop_index(have, want)], half(array))


@pytest.mark.parametrize(
    ("layout", "crops", "rule", "order"),
    [
        ("rtfm", 10, "rtfm", "torchvision"),
        ("rtfm", 1, "rtfm", "torchvision"),
        ("per-crop", 10, "deepmil", "deepmil"),
        ("per-crop", 5, "deepmil", "deepmil"),
        ("ten-first", 10, "vadclip", "gowtham"),
        ("video-features", 1, "xdviodet", "torchvision"),
        ("sultani", 1, "frames", "torchvision"),
    ],
)
def test_defaults_of_layouts(
    layout: str,
    crops: int,
    rule: str,
    order: str,
    write_files: WriteFiles,
    features: Features,
    manifest: Manifest,
    tmp_path: Path,
) -> None:
    root = write_files({id: array[:, :crops] for id, array in features.items()}, layout)
    import_features(root, tmp_path / "p.h5", layout=layout, manifest=manifest)
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        recipe = pack.recipe
        assert isinstance(recipe, ImportedRecipe)
        assert (recipe.layout, recipe.rule) == (layout, rule)
        assert recipe.crop_order == crop_order(order, crops)
        assert recipe.spans == ("segments" if layout == "sultani" else "step")
        assert recipe.streams == (("rgb", "flow") if layout == "video-features" else ("rgb",))


def test_xd_violence_has_its_own_rule(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files({id: array[:, :5] for id, array in features.items()}, "per-crop")
    named = replace(manifest, dataset="xd-violence")
    report = import_features(root, tmp_path / "p.h5", layout="per-crop", manifest=named)
    assert report.rule == "xdviodet"


def test_flow_from_another_folder_is_cut_to_rgb(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    five = {id: array[:, :5] for id, array in features.items()}
    rgb = write_files(five, "per-crop", "deepmil", "rgb")
    shorter = {id: array[: len(array) - (id == ABUSE)] * 2 for id, array in five.items()}
    flow = write_files(shorter, "per-crop", "deepmil", "flow")
    report = import_features(
        {"rgb": rgb, "flow": flow},
        tmp_path / "p.h5",
        layout="per-crop",
        manifest=manifest,
        rule="rtfm",
    )
    assert report.lines() == [
        f"cut: {ABUSE}: rgb from 89 to 88 snippets, as many as the other modality has",
        f"snippets: {ABUSE}: the files have 88, rule rtfm gives 89",
    ]
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        assert pack.recipe.streams == ("rgb", "flow")
        assert pack.shape(ABUSE, "rgb") == pack.shape(ABUSE, "flow") == (88, 5, 16)
        index = crop_index(pack.recipe.crop_order, crop_order("torchvision", 5))
        np.testing.assert_array_equal(pack.features(ABUSE, "flow")[:, index], half(shorter[ABUSE]))
        digests = sorted(
            ["rgb" if root == rgb else "flow", path.name, sha256_file(path)]
            for root in (rgb, flow)
            for path in root.glob("Abuse028*")
        )
        assert pack.meta(ABUSE).source_sha256 == sha256_text(canonical_json(digests))


def test_counts_that_do_not_fit_are_reported_and_kept(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files(features)
    np.save(root / "Abuse028_x264_i3d.npy", features[ABUSE][:80])
    report = import_features(root, tmp_path / "p.h5", layout="rtfm", manifest=manifest)
    assert report.misfits == [(ABUSE, 89, 80)]
    assert report.lines() == [f"snippets: {ABUSE}: the files have 80, rule rtfm gives 89"]
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        assert pack.shape(ABUSE) == (80, 10, 16)
        assert pack.meta(ABUSE).frames == 1412


def test_published_label_counts_come_before_the_rule(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files(features)
    np.save(root / "Abuse028_x264_i3d.npy", features[ABUSE][:80])
    entries = tuple(
        entry.model_copy(update={"label_counts": {"rtfm": 1280}}) if entry.id == ABUSE else entry
        for entry in manifest
    )
    report = import_features(
        root, tmp_path / "p.h5", layout="rtfm", manifest=Manifest(entries, "made-up")
    )
    assert report.lines() == []


def test_frames_that_are_not_known(
    write_files: WriteFiles, features: Features, tmp_path: Path
) -> None:
    manifest = Manifest((Entry(id=ABUSE, path="a.mp4", label=1),), "made-up")
    root = write_files({ABUSE: features[ABUSE]})
    report = import_features(root, tmp_path / "p.h5", layout="rtfm", manifest=manifest)
    assert report.lines() == [
        f"snippets: {ABUSE}: not checked, since rule rtfm needs a frame count"
    ]
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        assert pack.meta(ABUSE).frames == 89 * 16


def test_extra_and_missing(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files({id: features[id] for id in (ABUSE, NORMAL)})
    np.save(root / "gt-made-up.npy", np.zeros(3))
    with pytest.raises(
        ManifestError,
        match=r"1 of the 3 videos of made-up have no file \(first: Films/Bad",
    ):
        import_features(root, tmp_path / "p.h5", layout="rtfm", manifest=manifest)
    assert not (tmp_path / "p.h5").exists()
    report = import_features(
        root, tmp_path / "p.h5", layout="rtfm", manifest=manifest, allow_missing=True
    )
    assert report.lines() == [
        f"extra file, not used: {root}/gt-made-up.npy",
        f"missing: {manifest.entries[2].id}",
    ]


def test_a_list_of_another_machine(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files(features)
    (root / "copy").mkdir()
    np.save(root / "copy" / "Abuse028_x264_i3d.npy", features[ABUSE])
    lines = ["G:\\old\\Abuse028_x264_i3d.npy", "G:\\old\\Gone_x264_i3d.npy"]
    (tmp_path / "l.list").write_text("\n".join(lines))
    with pytest.raises(InputError, match=r"l.list:1: .* stands for several files"):
        import_features(
            root, tmp_path / "p.h5", layout="rtfm", manifest=manifest, list_file=tmp_path / "l.list"
        )
    lines[0] = "G:\\old\\copy\\Abuse028_x264_i3d.npy"
    (tmp_path / "l.list").write_text("\n".join(lines))
    report = import_features(
        root,
        tmp_path / "p.h5",
        layout="rtfm",
        manifest=manifest,
        list_file=tmp_path / "l.list",
        allow_missing=True,
    )
    assert report.videos == 1
    assert report.absent == ["G:\\old\\Gone_x264_i3d.npy"]


def test_two_files_for_one_video(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files(features)
    np.save(root / "Abuse028.npy", features[ABUSE])
    with pytest.raises(InputError, match=rf"Abuse028.npy and .*_i3d.npy are both video '{ABUSE}'"):
        import_features(root, tmp_path / "p.h5", layout="rtfm", manifest=manifest)


def test_nothing_that_belongs_to_the_manifest(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files({"x/other": features[ABUSE]})
    with pytest.raises(
        ManifestError,
        match=r"none of the 1 files \(first: .*other_i3d.npy\) belongs to one of the 3 videos",
    ):
        import_features(
            root, tmp_path / "p.h5", layout="rtfm", manifest=manifest, allow_missing=True
        )


def test_a_crop_that_is_missing(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files(features, "per-crop")
    (root / "Abuse028_x264__7.npy").unlink()
    with pytest.raises(
        InputError, match=rf"'{ABUSE}' has .*__9.npy but no crop 7; add the missing"
    ):
        import_features(root, tmp_path / "p.h5", layout="per-crop", manifest=manifest)


@pytest.mark.parametrize(
    ("array", "match"),
    [
        (np.zeros((7, 10, 8), np.float32), r"_i3d.npy has 10 crops of 8 dimensions, .* has 10 of "
         "16: a pack holds features of one kind"),
        (np.zeros((7, 5, 16), np.float32), "has 5 crops of 16 dimensions, .* has 10 of 16"),
        (np.zeros((16, 10, 7), np.float32), "its axes seem to be swapped"),
        (np.full((7, 10, 16), np.nan, np.float32), r"_i3d.npy contains NaN; packs store finite"),
        (np.full((7, 10, 16), 1e5, np.float32), r"contains 100000, but float16 ends at 65504"),
        (np.zeros((7, 10, 16), np.int32), "contains int32; features must be float16"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_fit(
    array: np.ndarray,
    match: str,
    write_files: WriteFiles,
    features: Features,
    manifest: Manifest,
    tmp_path: Path,
) -> None:
    root = write_files(features)
    np.save(root / "Abuse028_x264_i3d.npy", array)
    with pytest.raises(InputError, match=match):
        import_features(root, tmp_path / "p.h5", layout="rtfm", manifest=manifest)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_streams_of_two_extractions(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    rgb = write_files(features, "rtfm", folder="rgb")
    flow = write_files({id: array[:-2] for id, array in features.items()}, folder="flow")
    with pytest.raises(InputError, match=r"has 7 snippets and .* has 5; they may differ by one"):
        import_features(
            {"rgb": rgb, "flow": flow}, tmp_path / "p.h5", layout="rtfm", manifest=manifest
        )


def test_streams_of_other_crops(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    rgb = write_files(features, "rtfm", folder="rgb")
    flow = write_files({id: array[:, :5] for id, array in features.items()}, folder="flow")
    with pytest.raises(
        InputError, match=r"has 10 crops, .* has 5 crops; both modalities of a pack"
    ):
        import_features(
            {"rgb": rgb, "flow": flow}, tmp_path / "p.h5", layout="rtfm", manifest=manifest
        )


def test_a_stream_that_a_video_lacks(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files(features, "video-features")
    (root / "Abuse028_x264_flow.npy").unlink()
    with pytest.raises(InputError, match=rf"'{ABUSE}' has .*_rgb.npy but no file for flow; add it"):
        import_features(root, tmp_path / "p.h5", layout="video-features", manifest=manifest)


def test_one_stream_of_video_features(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files(features, "video-features")
    for path in root.glob("*_rgb.npy"):
        path.unlink()
    import_features(root, tmp_path / "p.h5", layout="video-features", manifest=manifest)
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        assert pack.recipe.streams == ("flow",)


def test_nothing_is_overwritten(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    (tmp_path / "p.h5").write_text("mine")
    with pytest.raises(
        InputError, match=r"p.h5 already exists; choose another --out .packs are never"
    ):
        import_features(write_files(features), tmp_path / "p.h5", layout="rtfm", manifest=manifest)
    assert (tmp_path / "p.h5").read_text() == "mine"


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"layout": "xd"}, "unknown layout 'xd'; available: rtfm, per-crop"),
        ({"rule": "none"}, "unknown ground-truth rule 'none'"),
        ({"crop_order": "mine"}, "unknown crop order 'mine'; available: torchvision, gowtham"),
    ],
)
def test_options_that_are_wrong(
    options: dict[str, str],
    match: str,
    write_files: WriteFiles,
    features: Features,
    manifest: Manifest,
    tmp_path: Path,
) -> None:
    layout = options.pop("layout", "rtfm")
    with pytest.raises(InputError, match=match):
        import_features(
            write_files(features), tmp_path / "p.h5", layout=layout, manifest=manifest, **options
        )


def test_a_file_that_goes_away(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files(features)

    def remove(event: ProgressEvent) -> None:
        (root / "Abuse028_x264_i3d.npy").unlink(missing_ok=True)

    with pytest.raises(InputError, match=r"Abuse028_x264_i3d.npy .*No such file"):
        import_features(root, tmp_path / "p.h5", layout="rtfm", manifest=manifest, progress=remove)


def test_many_blocks_make_the_same_pack(
    write_files: WriteFiles,
    features: Features,
    manifest: Manifest,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = write_files(features, "per-crop")
    import_features(root, tmp_path / "a.h5", layout="per-crop", manifest=manifest)
    monkeypatch.setattr(video_module, "BLOCK_BYTES", 1)
    import_features(root, tmp_path / "b.h5", layout="per-crop", manifest=manifest)
    with FeaturePack.open(tmp_path / "a.h5") as a, FeaturePack.open(tmp_path / "b.h5") as b:
        assert a.content_sha256 == b.content_sha256


def test_c3d_features_of_ucf_crime(reference: Path, tmp_path: Path) -> None:
    root = reference / "c3d_ucf_crime"
    manifest = find_manifest("ucf-crime", "test")
    report = import_features(
        root, tmp_path / "p.h5", layout="sultani", manifest=manifest, allow_missing=True
    )
    assert (report.videos, report.snippets, report.extra) == (10, 320, [])
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        norms = [np.linalg.norm(pack.features(id).astype(np.float64), axis=2) for id in pack.ids]
    np.testing.assert_allclose(norms, 1, atol=1e-3)


@pytest.mark.parametrize("lines", ["Abuse028_x264", "Abuse/Abuse028_x264.mp4  Abuse  165  240"])
def test_a_list_of_videos(
    lines: str, write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    """Official lists name videos, not files; all files of a video are taken."""
    root = write_files(features, "per-crop")
    (tmp_path / "l.txt").write_text(lines)
    report = import_features(
        root,
        tmp_path / "p.h5",
        layout="per-crop",
        manifest=manifest,
        list_file=tmp_path / "l.txt",
        allow_missing=True,
    )
    assert (report.videos, report.extra, report.absent) == (1, [], [])
    with FeaturePack.open(tmp_path / "p.h5") as pack:
        assert pack.ids == (ABUSE,)


def test_a_list_that_names_nothing(
    write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    root = write_files(features)
    (tmp_path / "l.txt").write_text("01_0014\n01_0015\n")
    message = r"no file for any of the 2 lines of .*l.txt \(first: '01_0014'\); its lines must name"
    with pytest.raises(ManifestError, match=message):
        import_features(
            root, tmp_path / "p.h5", manifest=manifest, list_file=str(tmp_path / "l.txt")
        )


@pytest.mark.parametrize("layout", ["rtfm", "per-crop", "ten-first", "video-features", "sultani"])
def test_a_layout_that_is_not_given(
    layout: str, write_files: WriteFiles, features: Features, manifest: Manifest, tmp_path: Path
) -> None:
    crops = 1 if layout in ("video-features", "sultani") else 10
    root = write_files({id: array[:, :crops] for id, array in features.items()}, layout)
    report = import_features(str(root), str(tmp_path / "p.h5"), manifest=manifest)
    assert report.layout == layout
    assert Path(report) == tmp_path / "p.h5"


@pytest.mark.parametrize("source", [{}, {"depth": "files"}])
def test_modalities_that_are_wrong(
    source: dict[str, str], manifest: Manifest, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match="give a folder for rgb, flow or both"):
        import_features(source, tmp_path / "p.h5", layout="rtfm", manifest=manifest)
