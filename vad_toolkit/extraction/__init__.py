"""Raw videos to feature packs: decode ahead, resize, flow, crops, network, parts, pack."""
