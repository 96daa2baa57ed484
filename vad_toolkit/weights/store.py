"""The weights cache: one safetensors file a set, whole or not there, its digest checked at each
load.

It lies in `$VAD_HOME/weights` (default `~/.cache/vad/weights`). The header of a file says which
published file it was made from (`published_sha256`) and what its tensors add up to
(`tensors_sha256`).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vad_toolkit.backbones.backbone import Backbone
from vad_toolkit.backbones.registry import BACKBONES, CHANNELS
from vad_toolkit.core.files import TEMPORARY_MARK, atomic_path, home, sha256_file
from vad_toolkit.core.locks import locked, remove_temporaries
from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.weights.catalogue import CATALOGUE, OwnerSource, RandomSource, find_entry, name_of
from vad_toolkit.weights.convert import ReadWeights, random_weights, read_weights
from vad_toolkit.weights.download import bring_published, check_published

RAFT = ("raft-large", "raft-small")  # weights that torchvision keeps in its own cache


@dataclass(frozen=True)
class InstalledWeights:
    """What the header of a cached file says."""

    name: str
    path: Path
    published_sha256: str
    tensors_sha256: str
    backbone: str
    stream: str


def installed() -> list[InstalledWeights]:
    """Every set of weights in the cache, by name. Files that are no weights are passed over."""
    found = []
    for path in sorted(_folder().glob("*.safetensors")):
        try:
            found.append(_read_header(path))
        except WeightsError:
            continue
    return found


def list_weights() -> list[dict[str, str | None]]:
    """List all weights: those of the catalog, imported ones, and RAFT's.

    Returns:
        One dict per set of weights: name, here ("yes" if it is in the cache, else "no"), backbone,
        stream, sha256, licence, title, and get (the command that downloads it).

    Example:
        >>> import vad_toolkit as vad
        >>> [row["name"] for row in vad.list_weights()][:2]
        ['i3d-rgb-k400', 'i3d-rgb-imagenet']
    """
    from vad_toolkit.flow.raft import weights_file

    here = {item.name: item for item in installed()}

    def row(name: str, *values: str | None, present: bool) -> dict[str, str | None]:
        columns = ("backbone", "stream", "sha256", "licence", "title", "get")
        named = dict(zip(columns, values, strict=True))
        return {"name": name, "here": "yes" if present else "no", **named}

    rows = []
    for name, entry in CATALOGUE.items():
        digest = entry.sha256 or (here[name].published_sha256 if name in here else None)
        about = (entry.backbone, entry.stream, digest, entry.license, entry.title)
        rows.append(row(name, *about, entry.how_to_get, present=name in here))
    for name, item in here.items():
        if name not in CATALOGUE:
            title = f"imported, {item.backbone} {item.stream}"
            about = (item.backbone, item.stream, item.published_sha256, None, title)
            rows.append(row(name, *about, None, present=True))
    for name in RAFT:
        title, command = "RAFT, which computes flow; kept by torchvision", f"vad weights get {name}"
        present = weights_file(name).is_file()
        rows.append(row(name, None, None, None, None, title, command, present=present))
    return rows


def get_weights(name: str) -> InstalledWeights:
    """Bring catalogue weights into the cache, unless they are there and whole.

    Nothing is left behind when it is interrupted or a digest is wrong.

    Raises:
        WeightsError: no such name, weights that only their owners give out, a failed download, or a
            file that is not the one the catalogue describes.
    """
    if name in RAFT:
        from vad_toolkit.flow.raft import download

        file = download(name)
        return InstalledWeights(name, file, sha256_file(file), "", name, "flow")
    entry = find_entry(name)
    with _lock():
        if (present := _find_whole(name)) is not None:
            return present
        if isinstance(entry.source, OwnerSource):
            raise WeightsError(
                f"{name} has to come from its owners ({entry.source.where}): "
                f"then run `vad weights import FILE --as {name}`"
            )
        if isinstance(entry.source, RandomSource):
            tensors = random_weights(
                entry.source.seed, entry.backbone, entry.stream, entry.source.variance
            )
            if (digest := tensors_digest(tensors)) != entry.sha256:
                raise WeightsError(
                    f"the random numbers of {name} have sha256 {digest}, expected {entry.sha256}: "
                    "this numpy draws others; features made with them would not compare"
                )
            return _save(name, digest, ReadWeights(entry.backbone, entry.stream, tensors))
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_MARK, dir=_folder()) as folder:
            file = bring_published(entry, Path(folder))
            return _save(name, sha256_file(file), read_weights(file, entry.backbone, entry.stream))


def import_weights(
    file: Path, name: str, stream: str | None = None, backbone: str | None = None
) -> InstalledWeights:
    """Bring a file into the cache under `name`.

    Under a name of the catalogue the file has to be the published one; under any other it may be
    anybody's, of a network in the registry. Network and stream are told by the file's structure;
    where `backbone` or `stream` is given, the file has to hold that.

    Raises:
        WeightsError: an unreadable file, another network, or not the file that `name` stands for.
        InputError: a name that cannot be a file's, or one that is taken by other weights.
    """
    if not name or name != Path(name).name or name.startswith("."):
        raise InputError(f"weights name {name!r}: has to be a plain name, as in my-i3d")
    if not file.is_file():
        raise InputError(f"no file {str(file)!r} to import")
    entry = CATALOGUE.get(name)
    digest = sha256_file(file)
    if entry is not None:
        backbone, stream = entry.backbone, entry.stream
        check_published(entry, file, digest)
    weights = read_weights(file, backbone, stream)
    with _lock():
        path = _folder() / f"{name}.safetensors"
        if entry is None and path.exists() and _read_header(path).published_sha256 != digest:
            raise InputError(
                f"other weights are named {name!r}: choose another name, or delete {path}"
            )
        return _save(name, digest, weights)


def check_weights(name: str) -> InstalledWeights:
    """Read cached weights whole and compare their digest.

    Raises:
        WeightsError: they are not there, or their tensors are not what the header says.
    """
    found = next((item for item in installed() if item.name == name), None)
    if found is None:
        entry = CATALOGUE.get(name)
        command = entry.how_to_get if entry else f"vad weights import FILE --as {name}"
        raise WeightsError(f"weights {name!r} are not in {_folder()}: run `{command}`")
    _load(found)
    return found


def resolve_name(name: str) -> str:
    """The published sha256 that a recipe names, for weights by catalogue or cache name.

    Raises:
        WeightsError: a name that neither knows.
    """
    if name in CATALOGUE and (known := CATALOGUE[name].sha256):
        return known
    found = next((item for item in installed() if item.name == name), None)
    if found is None:
        if name in CATALOGUE:
            raise WeightsError(
                f"the weights {name} are not in {_folder()}: run `{CATALOGUE[name].how_to_get}`"
            )
        names = sorted({*CATALOGUE, *(item.name for item in installed())})
        raise WeightsError(f"weights {name!r} are not known (names: {', '.join(names)})")
    return found.published_sha256


def load_backbone(
    published_sha256: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    backbone: str | None = None,
) -> Backbone:
    """The network that a recipe names, ready for inference: eval mode, channels-last-3d.

    Raises:
        WeightsError: its weights are not in the cache, damaged, or of another network than
            `backbone`.
    """
    found = next((i for i in installed() if i.published_sha256 == published_sha256), None)
    if found is None:
        name = name_of(published_sha256)
        command = CATALOGUE[name].how_to_get if name else "vad weights import FILE --as NAME"
        raise WeightsError(
            f"the weights {name or published_sha256} are not in {_folder()}: run `{command}`"
        )
    if found.backbone not in BACKBONES:
        raise WeightsError(
            f"{found.path} holds {found.backbone!r}, which this version does not know "
            f"({', '.join(BACKBONES)})"
        )
    if backbone is not None and found.backbone != backbone:
        raise WeightsError(
            f"the weights {found.name} are of {found.backbone}, the recipe's backbone is "
            f"{backbone}: --set backbone={found.backbone}, or name other weights"
        )
    network = BACKBONES[found.backbone].build(CHANNELS[found.stream])
    network.load_state_dict(_load(found))
    network.requires_grad_(False).eval()
    network.to(device=device, dtype=dtype)
    network.to(memory_format=torch.channels_last_3d)
    return network


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, shapes and little-endian float32 bytes, in the order of names."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name]
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().astype("<f4", copy=False).tobytes())
    return digest.hexdigest()


def _folder() -> Path:
    return home() / "weights"


@contextmanager
def _lock() -> Iterator[None]:
    """One process at a time fills the cache; who holds the lock clears what killed ones left."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        remove_temporaries(folder)
        yield


def _find_whole(name: str) -> InstalledWeights | None:
    try:
        return check_weights(name)
    except WeightsError:
        return None


def _save(name: str, published_sha256: str, weights: ReadWeights) -> InstalledWeights:
    path = _folder() / f"{name}.safetensors"
    header = {
        "published_sha256": published_sha256,
        "tensors_sha256": tensors_digest(weights.tensors),
        "backbone": weights.backbone,
        "stream": weights.stream,
        "licence": CATALOGUE[name].license if name in CATALOGUE else "not stated",
    }
    with atomic_path(path) as temporary:
        safetensors.torch.save_file(weights.tensors, temporary, metadata=header)
        temporary.chmod(0o644)  # safetensors writes 0600; a cache may be shared
    return _read_header(path)


def _read_header(path: Path) -> InstalledWeights:
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
        return InstalledWeights(
            name=path.stem,
            path=path,
            published_sha256=header["published_sha256"],
            tensors_sha256=header["tensors_sha256"],
            backbone=header["backbone"],
            stream=header["stream"],
        )
    except (safetensors.SafetensorError, OSError, KeyError) as error:
        raise WeightsError(f"{path} is not a weights file of this toolkit: delete it") from error


def _load(weights: InstalledWeights) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load_file(weights.path)
    except (safetensors.SafetensorError, OSError) as error:
        raise WeightsError(
            f"{weights.path} is damaged ({error}): delete it, get it again"
        ) from error
    if (found := tensors_digest(tensors)) != weights.tensors_sha256:
        raise WeightsError(
            f"{weights.path} is damaged (sha256 of its tensors is {found}, expected "
            f"{weights.tensors_sha256}): delete it and get it again"
        )
    return tensors
