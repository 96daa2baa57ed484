"""Find the packages: `cli` and `manifests` are installed as `vad_cli` and `vad_manifests`."""

from setuptools import find_packages, setup

setup(packages=[*find_packages(include=["vad_toolkit*"]), "vad_cli", "vad_manifests"])
