"""CLAV + CoMo, our reconstruction of Cho et al. (CVPR 2023)."""
