"""The tool that makes the shipped manifests from each benchmark's published files.

It is not part of the installed package. Run it in a clone of the repository:

    python -m vad_manifests.official DATASET ANNOTATIONS_DIR OUT_DIR
"""
