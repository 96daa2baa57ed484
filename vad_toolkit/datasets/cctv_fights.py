"""CCTV fights: the Surveillance Camera Fight Dataset (Akti, Tataroglu, Ekenel, IPTA 2019).

Clips of a few seconds, cut from videos of the web, each labelled as a whole by its folder: `fight/`
or `noFight/`. The shipped split divides source videos, never their clips: TEST_FRACTION by the rule
of `split_by_source` with SPLIT_SEED, over all clips at once. Clips whose source the owners do not
list stay in train.
"""

from __future__ import annotations

NAME = "cctv-fights"
TEST_FRACTION = 0.3
SPLIT_SEED = 0
