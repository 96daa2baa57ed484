"""Makes the manifests that come with the package out of each benchmark's published files."""
