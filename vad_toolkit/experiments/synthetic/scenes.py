"""Random surroundings: a street with parked cars, a sports field, a gym and a lounge.

Colors, light, clutter, textures and the camera's zoom are random. Sizes on the ground are in body
heights (see `people`), sizes in the picture in picture heights.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from vad_toolkit.experiments.synthetic.drawing import Canvas, Image, dim, shade
from vad_toolkit.experiments.synthetic.halls import draw_gym, draw_lounge
from vad_toolkit.experiments.synthetic.people import Camera, Ground


class Surrounding(StrEnum):
    """The place of a video."""

    STREET = "street"
    FIELD = "field"
    GYM = "gym"
    LOUNGE = "lounge"


@dataclass(frozen=True)
class Scene:
    """An empty place."""

    background: Image  # (height, width, 3) float32, 0 to 255
    camera: Camera
    ground: Ground  # where figures move
    light: NDArray[np.float32]  # (3,) factor per channel, also for figures


def draw_scene(
    surrounding: Surrounding, height: int, width: int, rng: np.random.Generator
) -> Scene:
    """Draw an empty scene of `height` x `width` pixels."""
    camera, ground = _camera(height, width, rng)
    canvas = Canvas(height, width, camera)
    _DRAW[surrounding](canvas, rng)
    light = draw_light(rng)
    return Scene(np.clip(canvas.finish() * light, 0, 255), camera, ground, light)


def draw_light(rng: np.random.Generator) -> NDArray[np.float32]:
    """Return a random light, one factor per channel: warm or cold, bright or dim."""
    warmth, level = rng.uniform(-0.12, 0.12), rng.uniform(0.75, 1.08)
    return np.array((1 + warmth, 1.0, 1 - warmth), dtype=np.float32) * np.float32(level)


def _camera(height: int, width: int, rng: np.random.Generator) -> tuple[Camera, Ground]:
    """Return a camera above the heads; the nearest figures are 0.42 to 0.5 picture heights tall."""
    near_scale = rng.uniform(0.42, 0.5) * height  # pixels per body height
    focal = rng.uniform(1.9, 2.3) * height
    horizon = rng.uniform(0.18, 0.26) * height
    near = focal / near_scale
    lowest = 0.95 * height  # row of the feet of the nearest figure
    camera = Camera(focal, (lowest - horizon) / near_scale, width / 2, horizon)
    # Figures stay in the middle square, which a center crop keeps.
    return camera, Ground(half_width=0.4 * height / near_scale, near=near, far=1.4 * near)


# --- street ---------------------------------------------------------------------------------------


def _draw_street(canvas: Canvas, rng: np.random.Generator) -> None:
    wall_base, road_far, road_near = 0.42, 0.46, 0.66
    _draw_houses(canvas, wall_base, rng)
    grey = rng.uniform(120, 180)
    canvas.fill(canvas.rows(wall_base, road_far), (grey, grey, grey * 0.97))
    _draw_road(canvas, road_far, road_near, rng)
    _draw_pavement(canvas, road_near, rng)
    for base in (rng.uniform(0.5, 0.53), rng.uniform(0.6, 0.64)):
        x = rng.uniform(-1.2, -0.4)
        while x < 1.2:
            length = canvas.scale_at(base) * rng.uniform(2.1, 2.6)
            if rng.random() < 0.55:
                _draw_car(canvas, x, base, length, rng)
            x += length * rng.uniform(1.12, 1.7)
    for x in rng.uniform(-0.6, 0.6, size=rng.integers(1, 3)):
        _draw_lamp_post(canvas, x, road_near + 0.01, rng)
    canvas.speckle(rng, cell=0.01, strength=0.05)
    canvas.speckle(rng, cell=0.15, strength=0.10)


def _draw_houses(canvas: Canvas, base: float, rng: np.random.Generator) -> None:
    x = -1.0
    while x < 1.0:
        width = rng.uniform(0.3, 0.7)
        wall = shade((175, 150, 130), rng, 0.3)
        canvas.rectangle(x, 0.0, x + width, base, wall)
        canvas.rectangle(x, base - 0.05, x + width, base, dim(wall, 0.7))
        window = shade((70, 85, 100), rng, 0.25)
        columns, rows = int(rng.integers(2, 5)), int(rng.integers(1, 3))
        step_x, step_y = width / columns, (base - 0.06) / rows
        door = rng.integers(columns)
        for column in range(columns):
            for row in range(rows):
                left = x + (column + 0.25) * step_x
                top = (row + 0.2) * step_y
                bottom = top + 0.6 * step_y
                if row == rows - 1 and column == door:
                    canvas.rectangle(left, top, left + 0.5 * step_x, base, dim(wall, 0.4))
                    continue
                right, sky = left + 0.5 * step_x, top + 0.3 * (bottom - top)
                frame = left - 0.01, top - 0.01, right + 0.01, bottom + 0.01
                canvas.rectangle(*frame, dim(wall, 1.25))
                canvas.rectangle(left, top, right, bottom, window)
                canvas.rectangle(left, top, right, sky, dim(window, 1.3))
        x += width


def _draw_road(canvas: Canvas, top: float, bottom: float, rng: np.random.Generator) -> None:
    grey = rng.uniform(60, 100)
    canvas.fill(canvas.rows(top, bottom), (grey, grey, grey * 1.04))
    line = (top + bottom) / 2
    across, _ = canvas.ground()
    dashes = (across + rng.uniform(0, 2)) % 2.0 < 1.0
    canvas.fill(canvas.rows(line - 0.006, line + 0.006) & dashes, (205, 205, 195))
    canvas.fill(canvas.rows(bottom - 0.02, bottom), (150, 148, 144))  # kerb


def _draw_pavement(canvas: Canvas, top: float, rng: np.random.Generator) -> None:
    slab = shade((150, 146, 140), rng, 0.15)
    below = canvas.rows(top, 1.0)
    canvas.fill(below, slab)
    across, away = canvas.ground()
    size = rng.uniform(0.35, 0.7)
    odd = (np.floor(across / size) + np.floor(away / size)) % 2 == 0
    canvas.fill(below & odd, dim(slab, rng.uniform(0.86, 0.95)))
    joints = ((across / size) % 1 < 0.04) | ((away / size) % 1 < 0.06)
    canvas.fill(below & joints, dim(slab, 0.75))


def _draw_car(
    canvas: Canvas, x: float, base: float, length: float, rng: np.random.Generator
) -> None:
    """Draw a car from the side; x is its left end, `base` the row of its wheels."""
    paint, height = shade((140, 120, 125), rng, 0.75), 0.33 * length
    canvas.ellipse(x + length / 2, base, 0.52 * length, 0.05 * length, (45, 45, 48))
    roof = (0.2 + rng.uniform(0, 0.08), 0.82 - rng.uniform(0, 0.1))
    top, bottom = base - height, base - 0.5 * height
    body = (x + roof[0] * length, x + roof[1] * length, x + 0.08 * length, x + 0.94 * length)
    canvas.trapezium(body, top, bottom, paint)
    top, bottom = base - 0.93 * height, base - 0.58 * height
    left, right = x + (roof[0] + 0.02) * length, x + (roof[1] - 0.02) * length
    windows = (left, right, x + 0.15 * length, x + 0.88 * length)
    canvas.trapezium(windows, top, bottom, (50, 62, 74))
    for left, top, right, bottom, color in (
        (0.5, 1.0, 0.53, 0.3, paint),
        (0.0, 0.6, 1.0, 0.16, paint),
        (0.0, 0.3, 1.0, 0.14, dim(paint, 0.65)),
    ):
        upper, lower = base - top * height, base - bottom * height
        canvas.rectangle(x + left * length, upper, x + right * length, lower, color)
    lamp = x + 0.02 * length, base - 0.5 * height
    canvas.ellipse(*lamp, 0.02 * length, 0.05 * height, (235, 225, 190))
    for wheel in (0.2, 0.8):
        center = x + wheel * length, base - 0.15 * height
        canvas.ellipse(*center, 0.09 * length, 0.09 * length, (28, 28, 30))
        canvas.ellipse(*center, 0.045 * length, 0.045 * length, (150, 150, 155))


def _draw_lamp_post(canvas: Canvas, x: float, base: float, rng: np.random.Generator) -> None:
    paint = shade((70, 74, 72), rng, 0.3)
    canvas.rectangle(x - 0.008, 0.0, x + 0.008, base, paint)
    canvas.rectangle(x - 0.02, base - 0.06, x + 0.02, base, paint)


# --- field ----------------------------------------------------------------------------------------


def _draw_field(canvas: Canvas, rng: np.random.Generator) -> None:
    grass_top = 0.36
    canvas.fill(canvas.rows(0.0, grass_top), shade((165, 195, 225), rng, 0.12))
    _draw_trees(canvas, grass_top, rng)
    _draw_fence(canvas, grass_top, rng)
    grass = shade((84, 138, 62), rng, 0.22)
    below = canvas.rows(grass_top, 1.0)
    canvas.fill(below, grass)
    across, away = canvas.ground()
    stripe = across if rng.random() < 0.5 else away
    width = rng.uniform(0.8, 1.6)
    canvas.fill(below & (np.floor(stripe / width) % 2 == 0), dim(grass, rng.uniform(0.8, 0.92)))
    canvas.speckle(rng, cell=0.012, strength=0.12)
    canvas.speckle(rng, cell=0.2, strength=0.10)
    white = (226, 232, 222)
    far_line, side = rng.uniform(8.5, 10), rng.uniform(-3, 3)
    canvas.fill(below & (np.abs(away - far_line) < 0.12), white)
    canvas.fill(below & (np.abs(across - side) < 0.05) & (away < far_line), white)
    if rng.random() < 0.7:
        distance = np.hypot(across - rng.uniform(-1.5, 1.5), away - rng.uniform(4, 8))
        canvas.fill(below & (np.abs(distance - rng.uniform(1.5, 3)) < 0.05), white)
    _draw_goal(canvas, rng.uniform(-0.3, 0.3), canvas.row_at(far_line), rng)
    for _ in range(rng.integers(2, 7)):
        x, base = rng.uniform(-0.6, 0.6), rng.uniform(0.5, 0.97)
        size = 0.17 * canvas.scale_at(base)
        sides = x - 0.05 * size, x + 0.05 * size, x - 0.45 * size, x + 0.45 * size
        canvas.trapezium(sides, base - size, base, (235, 110, 40))


def _draw_trees(canvas: Canvas, base: float, rng: np.random.Generator) -> None:
    for x in np.arange(-0.7, 0.75, 0.11):
        leaves = shade((62, 98, 58), rng, 0.3)
        size = rng.uniform(0.09, 0.17)
        middle = x + rng.uniform(-0.04, 0.04), base - 0.1 - 0.3 * size
        canvas.ellipse(*middle, size * 0.8, size, leaves)


def _draw_fence(canvas: Canvas, base: float, rng: np.random.Generator) -> None:
    """Draw advertising boards along the far side."""
    x = -0.7
    while x < 0.7:
        width = rng.uniform(0.15, 0.3)
        board = shade((190, 190, 190), rng, 0.5)
        canvas.rectangle(x, base - 0.07, x + width - 0.01, base, board)
        canvas.rectangle(x + 0.03, base - 0.045, x + width - 0.04, base - 0.025, dim(board, 0.5))
        x += width


def _draw_goal(canvas: Canvas, x: float, base: float, rng: np.random.Generator) -> None:
    size = canvas.scale_at(base)
    half, height, post = rng.uniform(1.0, 1.6) * size, 1.3 * size, 0.05 * size
    top, white, net = base - height, (240, 240, 240), (190, 195, 190)
    for share in np.linspace(-1, 1, 14):
        canvas.rectangle(x + share * half - 0.001, top, x + share * half + 0.001, base, net)
    for share in np.linspace(0, 1, 8):
        y = top + share * height
        canvas.rectangle(x - half, y - 0.001, x + half, y + 0.001, net)
    canvas.rectangle(x - half - post, top - post, x + half + post, top, white)
    canvas.rectangle(x - half - post, top, x - half, base, white)
    canvas.rectangle(x + half, top, x + half + post, base, white)


_DRAW: Mapping[Surrounding, Callable[[Canvas, np.random.Generator], None]] = {
    Surrounding.STREET: _draw_street,
    Surrounding.FIELD: _draw_field,
    Surrounding.GYM: draw_gym,
    Surrounding.LOUNGE: draw_lounge,
}
