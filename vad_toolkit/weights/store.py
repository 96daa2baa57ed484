"""Weights cache: one safetensors file per set of weights in `$VAD_HOME/weights`.

Files are written atomically, and their digest is verified whenever they are loaded. The header of a
file has the sha256 of the published file (`published_sha256`) and that of the tensors
(`tensors_sha256`).
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from vad_toolkit.backbones.backbone import Backbone
from vad_toolkit.backbones.registry import BACKBONES, CHANNELS
from vad_toolkit.core.files import TEMPORARY_MARK, AnyPath, atomic_path, home, sha256_file
from vad_toolkit.core.locks import locked, remove_temporaries
from vad_toolkit.errors import InputError, WeightsError
from vad_toolkit.weights.catalogue import CATALOGUE, OwnerSource, RandomSource, find_entry, name_of
from vad_toolkit.weights.convert import ReadWeights, random_weights, read_weights
from vad_toolkit.weights.download import check_published, download_published

RAFT = ("raft-large", "raft-small")  # torchvision keeps these weights in its own cache


@dataclass(frozen=True)
class InstalledWeights:
    """Weights in the cache, as the header of their file describes them.

    Attributes:
        name: The name in recipes.
        path: The file in the cache.
        published_sha256: The digest of the published file, which identifies the weights.
        tensors_sha256: The digest of the tensors.
        backbone: The name of the network.
        stream: The modality, "rgb" or "flow".
    """

    name: str
    path: Path
    published_sha256: str
    tensors_sha256: str
    backbone: str
    stream: str


def installed() -> list[InstalledWeights]:
    """Return all weights in the cache in order of names. Files of other kinds are ignored."""
    found = []
    for path in sorted(_folder().glob("*.safetensors")):
        with suppress(WeightsError):
            found.append(_read_header(path))
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
    columns = ("name", "here", "backbone", "stream", "sha256", "licence", "title", "get")
    rows: list[tuple[str | None, ...]] = []
    for name, entry in CATALOGUE.items():
        digest = entry.sha256 or (here[name].published_sha256 if name in here else None)
        about = (entry.backbone, entry.stream, digest, entry.license, entry.title)
        rows.append((name, "yes" if name in here else "no", *about, entry.how_to_get))
    for name, item in here.items():
        if name not in CATALOGUE:
            title = f"imported, {item.backbone} {item.stream}"
            digest = item.published_sha256
            rows.append((name, "yes", item.backbone, item.stream, digest, None, title, None))
    for name in RAFT:
        title, command = "RAFT, which computes flow; kept by torchvision", f"vad weights get {name}"
        is_here = "yes" if weights_file(name).is_file() else "no"
        rows.append((name, is_here, None, None, None, None, title, command))
    return [dict(zip(columns, row, strict=True)) for row in rows]


def get_weights(name: str) -> InstalledWeights:
    """Download weights of the catalog into the cache, unless they are there and intact.

    An interrupted download leaves nothing behind.

    Args:
        name: A name of the catalog, or "raft-large" or "raft-small", which torchvision keeps in its
            own cache.

    Raises:
        WeightsError: If the name is unknown, the file must be obtained from its owners, the
            download fails, or its digest is wrong.

    Example:
        >>> import vad_toolkit as vad
        >>> vad.get_weights("i3d-rgb-random").backbone
        'inception-i3d'
    """
    if name in RAFT:
        from vad_toolkit.flow.raft import download

        file = download(name)
        return InstalledWeights(name, file, sha256_file(file), "", name, "flow")
    entry = find_entry(name)
    with _lock():
        with suppress(WeightsError):
            return check_weights(name)
        if isinstance(entry.source, OwnerSource):
            raise WeightsError(
                f"{name} cannot be downloaded; obtain {entry.source.where}, then run "
                f"`vad weights import FILE --as {name}`"
            )
        if isinstance(entry.source, RandomSource):
            tensors = random_weights(
                entry.source.seed, entry.backbone, entry.stream, entry.source.variance
            )
            if (digest := tensors_digest(tensors)) != entry.sha256:
                raise WeightsError(
                    f"the random numbers of {name} have sha256 {digest}, expected {entry.sha256}; "
                    "this version of numpy draws other numbers, so features would not compare"
                )
            return _save(name, digest, ReadWeights(entry.backbone, entry.stream, tensors))
        with tempfile.TemporaryDirectory(prefix=TEMPORARY_MARK, dir=_folder()) as folder:
            file = download_published(entry, Path(folder))
            return _save(name, sha256_file(file), read_weights(file, entry.backbone, entry.stream))


def import_weights(
    file: AnyPath, name: str, stream: str | None = None, backbone: str | None = None
) -> InstalledWeights:
    """Import a file of weights into the cache.

    Args:
        file: safetensors, a PyTorch state dict, or a pickle of numpy arrays (see docs/weights.md).
        name: The name of the weights in recipes. For a name of the catalog, the file must be the
            published one.
        stream: The modality that the file must have, "rgb" or "flow". If None, it is recognized by
            its structure.
        backbone: The network that the file must hold. If None, it is recognized by its structure.

    Raises:
        WeightsError: If the file cannot be read, holds another network, or is not the file of the
            catalog.
        InputError: If the name cannot be a file name, or other weights have it.

    Example:
        >>> import vad_toolkit as vad
        >>> file = vad.get_weights("i3d-rgb-random").path  # or a file that you trained
        >>> vad.import_weights(file, "my-i3d", backbone="inception-i3d").stream
        'rgb'
    """
    file = Path(file)
    if not name or name != Path(name).name or name.startswith("."):
        raise InputError(f"weights name {name!r} must be a plain file name, such as my-i3d")
    if not file.is_file():
        raise InputError(f"no weights file {str(file)!r}")
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
                f"other weights are named {name!r}; choose another name, or delete {path}"
            )
        return _save(name, digest, weights)


def check_weights(name: str) -> InstalledWeights:
    """Check that cached weights are intact: read them completely and verify their digest.

    Raises:
        WeightsError: If they are not in the cache or damaged.

    Example:
        >>> import vad_toolkit as vad
        >>> weights = vad.get_weights("i3d-rgb-random")
        >>> vad.check_weights("i3d-rgb-random") == weights
        True
    """
    found = next((item for item in installed() if item.name == name), None)
    if found is None:
        raise _not_here(name)
    _load(found)
    return found


def resolve_name(name: str) -> str:
    """Return the published sha256 of weights in the catalog or the cache.

    Raises:
        WeightsError: If neither has the name, or the digest is unknown until the file is imported.
    """
    if name in CATALOGUE and (known := CATALOGUE[name].sha256):
        return known
    here = {item.name: item for item in installed()}
    if name in here:
        return here[name].published_sha256
    if name in CATALOGUE:
        raise _not_here(name)
    raise WeightsError(f"unknown weights {name!r}; available: {', '.join([*CATALOGUE, *here])}")


def load_backbone(
    published_sha256: str,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
    backbone: str | None = None,
) -> Backbone:
    """Load a network with its weights for inference: eval mode, channels-last-3d.

    Args:
        published_sha256: The digest by which a recipe names the weights.
        device: The device for the network.
        dtype: The type of its parameters.
        backbone: The network that the weights must be of. If None, any.

    Raises:
        WeightsError: If the weights are not in the cache, damaged, or of another network.
    """
    found = next((i for i in installed() if i.published_sha256 == published_sha256), None)
    if found is None:
        raise _not_here(name_of(published_sha256), published_sha256)
    if found.backbone not in BACKBONES:
        raise WeightsError(
            f"{found.path} holds the unknown backbone {found.backbone!r}; available: "
            f"{', '.join(BACKBONES)}"
        )
    if backbone is not None and found.backbone != backbone:
        raise WeightsError(
            f"the weights {found.name} are of {found.backbone}, but the recipe's backbone is "
            f"{backbone}; use --set backbone={found.backbone} or other weights"
        )
    network = BACKBONES[found.backbone].build(CHANNELS[found.stream])
    network.load_state_dict(_load(found))
    network.requires_grad_(False).eval()
    network.to(device=device, dtype=dtype)
    network.to(memory_format=torch.channels_last_3d)
    return network


def tensors_digest(tensors: Mapping[str, Tensor]) -> str:
    """Return the sha256 of names, shapes and little-endian float32 bytes in order of names."""
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
    """Lock the cache for one process, and remove the temporary files of killed processes."""
    folder = _folder()
    folder.mkdir(parents=True, exist_ok=True)
    with locked(folder):
        remove_temporaries(folder)
        yield


def _not_here(name: str | None, shown: str = "") -> WeightsError:
    entry = CATALOGUE.get(name or "")
    command = entry.how_to_get if entry else f"vad weights import FILE --as {name or 'NAME'}"
    return WeightsError(f"weights {name or shown} are not in {_folder()}; run `{command}`")


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
        digests = header["published_sha256"], header["tensors_sha256"]
        return InstalledWeights(path.stem, path, *digests, header["backbone"], header["stream"])
    except (safetensors.SafetensorError, OSError, KeyError) as error:
        raise WeightsError(f"{path} is not a weights file of this toolkit; delete it") from error


def _load(weights: InstalledWeights) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = safetensors.torch.load_file(weights.path)
        found, expected = tensors_digest(tensors), weights.tensors_sha256
        if found != expected:
            raise ValueError(f"sha256 of its tensors is {found}, expected {expected}")
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise WeightsError(
            f"{weights.path} is damaged ({error}); delete it and get it again"
        ) from error
    return tensors
