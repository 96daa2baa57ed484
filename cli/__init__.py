"""The `vad` command: one module a stage, thin over the library."""
