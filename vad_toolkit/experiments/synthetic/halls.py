"""Indoor surroundings: a gym and a lounge. Units are those of `scenes`."""

from __future__ import annotations

import numpy as np

from vad_toolkit.experiments.synthetic.drawing import Canvas, dim, shade

WALL_BASE = 0.4  # row of the edge between wall and floor


def draw_gym(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw planks with painted lines, wall bars, high windows, a basket and mats."""
    wall = shade((205, 205, 195), rng, 0.15)
    canvas.fill(canvas.rows(0.0, WALL_BASE), wall)
    canvas.fill(canvas.rows(WALL_BASE - 0.1, WALL_BASE), shade((120, 150, 170), rng, 0.3))
    for x in np.arange(-1.0, 1.0, 0.16) + rng.uniform(0, 0.16):
        canvas.rectangle(x, 0.02, x + 0.13, 0.11, (215, 228, 240))
    for x in rng.choice((-0.55, -0.3, 0.05, 0.3), size=2, replace=False):
        _draw_wall_bars(canvas, x, rng)
    _draw_basket(canvas, rng.uniform(-0.15, 0.15))

    wood = shade((196, 150, 96), rng, 0.15)
    below = canvas.rows(WALL_BASE, 1.0)
    canvas.fill(below, wood)
    across, away = canvas.ground()
    plank = rng.uniform(0.18, 0.3)
    canvas.fill(below & (np.floor(across / plank) % 2 == 0), dim(wood, 0.93))
    canvas.fill(below & ((across / plank) % 1 < 0.06), dim(wood, 0.8))
    red, blue = shade((190, 50, 50), rng, 0.2), shade((50, 80, 170), rng, 0.2)
    for color in (red, blue, (235, 235, 230)):
        if rng.random() < 0.5:
            ring = np.hypot(across - rng.uniform(-1, 1), away - rng.uniform(4, 7))
            canvas.fill(below & (np.abs(ring - rng.uniform(1.2, 2.4)) < 0.05), color)
        else:
            canvas.fill(below & (np.abs(across - rng.uniform(-2, 2)) < 0.05), color)
    canvas.fill(below & (np.abs(away - rng.uniform(6, 9)) < 0.08), (235, 235, 230))
    for _ in range(rng.integers(1, 4)):
        x, base = rng.choice((-1, 1)) * rng.uniform(0.3, 0.55), rng.uniform(0.5, 0.75)
        size = canvas.scale_at(base)
        mat = shade((45, 95, 175), rng, 0.35)
        canvas.rectangle(x - 0.6 * size, base - 0.16 * size, x + 0.6 * size, base, mat)
        canvas.rectangle(x - 0.6 * size, base - 0.05 * size, x + 0.6 * size, base, dim(mat, 0.7))
    canvas.speckle(rng, cell=0.2, strength=0.06)


def draw_lounge(canvas: Canvas, rng: np.random.Generator) -> None:
    """Draw a carpet with a rug, wallpaper with pictures, curtains, a shelf, a sofa and a lamp."""
    paper = shade((150, 105, 110), rng, 0.35)
    canvas.fill(canvas.rows(0.0, WALL_BASE), paper)
    for x in np.arange(-1.0, 1.0, rng.uniform(0.06, 0.12)):
        canvas.rectangle(x, 0.0, x + 0.025, WALL_BASE, dim(paper, 0.88))
    canvas.rectangle(-1.0, WALL_BASE - 0.03, 1.0, WALL_BASE, (226, 216, 200))
    for x in (rng.uniform(-0.6, -0.35), rng.uniform(0.3, 0.5)):
        _draw_window(canvas, x, rng)
    for x in rng.uniform(-0.25, 0.2, size=rng.integers(1, 4)):
        width, height, top = rng.uniform((0.05, 0.06, 0.05), (0.12, 0.12, 0.15)).tolist()
        canvas.rectangle(x, top, x + width, top + height, (96, 66, 34))
        right, bottom, paint = (
            x + width - 0.01,
            top + height - 0.01,
            shade((160, 160, 140), rng, 0.7),
        )
        canvas.rectangle(x + 0.01, top + 0.01, right, bottom, paint)

    carpet = shade((112, 62, 66), rng, 0.35)
    below = canvas.rows(WALL_BASE, 1.0)
    canvas.fill(below, carpet)
    across, away = canvas.ground()
    middle, half = rng.uniform(-0.4, 0.4), rng.uniform(1.0, 1.6)
    near, far = rng.uniform(3.2, 3.8), rng.uniform(5.5, 7)
    rug = below & (np.abs(across - middle) < half) & (away > near) & (away < far)
    tone = shade((190, 165, 120), rng, 0.3)
    canvas.fill(rug, tone)
    diamonds = (np.abs((across * 2) % 1 - 0.5) + np.abs((away * 2) % 1 - 0.5)) < 0.3
    canvas.fill(rug & diamonds, dim(tone, 0.6))

    _draw_shelf(canvas, rng.choice((-0.5, 0.3)) + rng.uniform(-0.05, 0.05), rng)
    x, base = rng.uniform(-0.35, 0.05), rng.uniform(0.47, 0.52)
    _draw_sofa(canvas, x, base, rng)
    lamp = rng.uniform(-0.55, 0.55)
    canvas.rectangle(lamp - 0.006, 0.15, lamp + 0.006, 0.5, (60, 50, 40))
    shade_sides = (lamp - 0.03, lamp + 0.03, lamp - 0.06, lamp + 0.06)
    canvas.trapezium(shade_sides, 0.1, 0.18, (250, 226, 160))
    canvas.speckle(rng, cell=0.012, strength=0.10)
    canvas.speckle(rng, cell=0.25, strength=0.12)


def _draw_wall_bars(canvas: Canvas, x: float, rng: np.random.Generator) -> None:
    wood = shade((150, 100, 55), rng, 0.2)
    for y in np.arange(0.12, WALL_BASE - 0.01, 0.025):
        canvas.rectangle(x, y, x + 0.22, y + 0.009, wood)
    for edge in (x, x + 0.105, x + 0.21):
        canvas.rectangle(edge, 0.11, edge + 0.012, WALL_BASE, dim(wood, 0.8))


def _draw_basket(canvas: Canvas, x: float) -> None:
    canvas.rectangle(x - 0.08, 0.1, x + 0.08, 0.21, (245, 245, 245))
    canvas.rectangle(x - 0.03, 0.145, x + 0.03, 0.185, (200, 60, 40))
    canvas.rectangle(x - 0.024, 0.151, x + 0.024, 0.179, (245, 245, 245))
    canvas.rectangle(x - 0.03, 0.19, x + 0.03, 0.198, (220, 90, 30))
    canvas.trapezium((x - 0.03, x + 0.03, x - 0.02, x + 0.02), 0.198, 0.235, (228, 228, 228))


def _draw_window(canvas: Canvas, x: float, rng: np.random.Generator) -> None:
    cloth = shade((170, 140, 70), rng, 0.5)
    canvas.rectangle(x, 0.03, x + 0.2, 0.28, (196, 214, 232))
    canvas.rectangle(x + 0.095, 0.03, x + 0.105, 0.28, (240, 236, 228))
    for left in (x - 0.03, x + 0.16):
        for fold in range(4):
            start = left + 0.0175 * fold
            tone = dim(cloth, 0.85 + 0.3 * (fold % 2))
            canvas.rectangle(start, 0.01, start + 0.0175, WALL_BASE - 0.04, tone)


def _draw_shelf(canvas: Canvas, x: float, rng: np.random.Generator) -> None:
    canvas.rectangle(x, 0.1, x + 0.22, 0.44, (70, 44, 26))
    for top in (0.12, 0.2, 0.28, 0.36):
        canvas.rectangle(x + 0.01, top, x + 0.21, top + 0.065, (44, 28, 18))
        start = x + 0.012
        while start < x + 0.19:
            width, height = rng.uniform(0.008, 0.02), rng.uniform(0.04, 0.062)
            cover, base = shade((140, 110, 90), rng, 0.9), top + 0.065
            canvas.rectangle(start, base - height, start + width, base, cover)
            start += width


def _draw_sofa(canvas: Canvas, x: float, base: float, rng: np.random.Generator) -> None:
    cloth, size = shade((70, 100, 90), rng, 0.6), canvas.scale_at(base)
    canvas.rectangle(x, base - 0.5 * size, x + 1.3 * size, base, dim(cloth, 0.85))
    canvas.rectangle(x + 0.1 * size, base - 0.28 * size, x + 1.2 * size, base - 0.05 * size, cloth)
    for left in (x - 0.06 * size, x + 1.2 * size):
        canvas.rectangle(left, base - 0.36 * size, left + 0.16 * size, base, dim(cloth, 1.1))
