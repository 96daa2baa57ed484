"""Articulated figures that walk, run, wave or do jumping jacks: their paths and their drawing.

A figure is one body height tall. Ground coordinates are in body heights: x to the right, z away
from the camera. Joint angles are sinusoids of a gait phase, which is enough for an action
recognition network to distinguish the motions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Color = tuple[float, float, float]  # RGB, 0 to 255


class Motion(StrEnum):
    """A motion of a figure."""

    WALK = "walk"
    RUN = "run"
    WAVE = "wave"  # standing still with an arm raised
    JACK = "jack"  # jumping jacks on the spot: legs and arms apart and together


@dataclass(frozen=True)
class Gait:
    """Body heights, gait cycles and radians of turning per second of one motion."""

    speed: float
    cadence: float
    turn_rate: float


GAITS = {
    Motion.WALK: Gait(speed=0.5, cadence=0.85, turn_rate=2.2),
    Motion.RUN: Gait(speed=1.45, cadence=1.6, turn_rate=4.5),
    Motion.WAVE: Gait(speed=0.0, cadence=1.2, turn_rate=1.5),
    Motion.JACK: Gait(speed=0.0, cadence=1.1, turn_rate=1.5),
}
MOTIONS = tuple(GAITS)
FIRST_MOTIONS = (Motion.WALK, Motion.RUN, Motion.WAVE)  # the demo's
EASE_SECONDS = 0.12  # time constant of a change from one motion to another


@dataclass(frozen=True)
class Camera:
    """A pinhole camera with a horizontal axis; lengths in pixels, its height in body heights."""

    focal: float
    height: float  # above the ground
    center_x: float
    horizon_y: float

    def project(self, points: Array) -> tuple[Array, Array]:
        """Return pixels (..., 2) of points (x, up, z) (..., 3), and pixels per body height."""
        scale = self.focal / points[..., 2]
        x = self.center_x + scale * points[..., 0]
        y = self.horizon_y + scale * (self.height - points[..., 1])
        return np.stack((x, y), axis=-1), scale


@dataclass(frozen=True)
class Ground:
    """The part of the ground where figures move, in body heights."""

    half_width: float
    near: float
    far: float


@dataclass(frozen=True)
class Look:
    """Colors and build of one figure."""

    skin: Color
    hair: Color
    top: Color
    bottom: Color
    shoes: Color
    girth: float  # 1 is average
    height: float  # 1 is average


@dataclass(frozen=True)
class Track:
    """The course of a figure, frame by frame."""

    position: Array  # (frames, 2) x and z in body heights
    heading: Array  # (frames,) radians: 0 to the right, pi / 2 away from the camera
    phase: Array  # (frames,) radians of the gait cycle
    weights: Array  # (frames, motions) share of each of `MOTIONS` in the pose; rows sum to 1


def draw_look(rng: np.random.Generator) -> Look:
    """Return random clothes, skin and build."""
    skins: tuple[Color, ...] = ((236, 196, 168), (205, 154, 118), (150, 103, 72), (96, 64, 46))
    hairs: tuple[Color, ...] = ((34, 28, 26), (84, 56, 34), (150, 116, 66), (120, 118, 116))
    return Look(
        skin=skins[rng.integers(len(skins))],
        hair=hairs[rng.integers(len(hairs))],
        top=_cloth(rng),
        bottom=_cloth(rng),
        shoes=(30, 30, 34) if rng.random() < 0.5 else (214, 214, 210),
        girth=float(rng.uniform(0.9, 1.2)),
        height=float(rng.uniform(0.93, 1.05)),
    )


def simulate(
    motions: Sequence[Motion], fps: float, ground: Ground, rng: np.random.Generator
) -> Track:
    """Return the course of a figure that moves over `ground`, with the given motion per frame.

    It heads for random points on alternate sides, and turns as fast as its gait allows.
    """
    frames = len(motions)
    told = np.array([MOTIONS.index(motion) for motion in motions])
    tempo = rng.uniform(0.9, 1.1)
    side = rng.choice((-1.0, 1.0))
    place = np.array((-side * rng.uniform(0.2, 0.8) * ground.half_width, _depth(ground, rng)))
    goal = _next_goal(ground, side, rng)
    heading = float(np.arctan2(goal[1] - place[1], goal[0] - place[0]))
    phase = rng.uniform(0, 2 * np.pi)
    weights = np.eye(len(MOTIONS))[told[0]]
    ease = 1 - np.exp(-1 / (fps * EASE_SECONDS))
    gaits = np.array([(g.speed, g.cadence, g.turn_rate) for g in GAITS.values()])
    # A sum of more terms is rounded differently, and a last bit can change a picture: later motions
    # are left out unless the figure makes them, so that earlier datasets stay the same.
    last = max(told.max() + 1, len(FIRST_MOTIONS))

    positions = np.empty((frames, 2))
    headings, phases = np.empty(frames), np.empty(frames)
    mixes = np.empty((frames, len(MOTIONS)))
    for frame in range(frames):
        weights = weights + ease * (np.eye(len(MOTIONS))[told[frame]] - weights)
        speed, cadence, turn_rate = weights[:last] @ gaits[:last]
        away = goal - place
        if np.hypot(*away) < 0.15 + 0.2 * speed or side * (place[0] - goal[0]) > 0:
            side = -side
            goal = _next_goal(ground, side, rng)
            away = goal - place
        turn = (np.arctan2(away[1], away[0]) - heading + np.pi) % (2 * np.pi) - np.pi
        heading += float(np.clip(turn, -turn_rate / fps, turn_rate / fps))
        place = place + tempo * speed / fps * np.array((np.cos(heading), np.sin(heading)))
        place[1] = np.clip(place[1], ground.near, ground.far)
        phase += 2 * np.pi * tempo * cadence / fps
        positions[frame], headings[frame] = place, heading
        phases[frame], mixes[frame] = phase, weights
    return Track(positions, headings, phases, mixes)


def limbs(track: Track, look: Look, camera: Camera, light: NDArray[np.float32]) -> Limbs:
    """Return the capsules of a figure in every frame, in pixels; `light` (3,) tints colors."""
    joints = _world(_joints(track), track, look)  # (frames, joints, 3)
    pixels, scale = camera.project(joints)
    heads, tails = pixels[:, _HEADS], pixels[:, _TAILS]  # (frames, parts, 2)
    depth = (joints[:, _HEADS, 2] + joints[:, _TAILS, 2]) / 2
    widths = np.array([radius for _, _, radius, _ in PARTS]) * look.girth * look.height
    radius = widths * (scale[:, _HEADS] + scale[:, _TAILS]) / 2
    colors = np.array([getattr(look, color) for _, _, _, color in PARTS], dtype=np.float32) * light
    feet = np.stack((track.position[:, 0], np.zeros(len(scale)), track.position[:, 1]), axis=-1)
    return Limbs(heads, tails, radius, depth, colors, *camera.project(feet))


@dataclass(frozen=True)
class Limbs:
    """Capsules of one figure, in pixels."""

    heads: Array  # (frames, parts, 2)
    tails: Array  # (frames, parts, 2)
    radius: Array  # (frames, parts)
    depth: Array  # (frames, parts) body heights
    colors: NDArray[np.float32]  # (parts, 3)
    feet: Array  # (frames, 2)
    scale: Array  # (frames,) pixels per body height

    def draw(self, image: NDArray[np.float32], frame: int) -> None:
        """Paint a frame over `image` (height, width, 3): the shadow, then far parts first."""
        scale = float(self.scale[frame])
        _paint_shadow(image, self.feet[frame], 0.22 * scale, 0.05 * scale)
        for part in np.argsort(-self.depth[frame], kind="stable"):
            ends = self.heads[frame, part], self.tails[frame, part]
            _paint_capsule(image, *ends, float(self.radius[frame, part]), self.colors[part])


# --- the body -------------------------------------------------------------------------------------


_SIDES = ("left", "right")
_LIMBS = ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "wrist", "hand")
_TRUNK_JOINTS = ("pelvis", "waist", "chest", "neck", "chin", "crown", "brow")
_JOINTS = (*_TRUNK_JOINTS, *(f"{side}_{name}" for side in _SIDES for name in _LIMBS))
PARTS = (  # capsules: head, tail, radius in body heights, and the color's field of `Look`
    ("pelvis", "waist", 0.085, "bottom"),
    ("waist", "chest", 0.095, "top"),
    ("neck", "chin", 0.035, "skin"),
    ("chin", "crown", 0.06, "skin"),
    ("brow", "crown", 0.058, "hair"),
    ("left_shoulder", "right_shoulder", 0.055, "top"),
    *(
        (f"{side}_{head}", f"{side}_{tail}", radius, color)
        for side in _SIDES
        for head, tail, radius, color in (
            ("hip", "knee", 0.06, "bottom"),
            ("knee", "ankle", 0.042, "bottom"),
            ("ankle", "toe", 0.03, "shoes"),
            ("shoulder", "elbow", 0.038, "top"),
            ("elbow", "wrist", 0.03, "skin"),
            ("wrist", "hand", 0.03, "skin"),
        )
    ),
)
_HEADS = np.array([_JOINTS.index(head) for head, _, _, _ in PARTS])
_TAILS = np.array([_JOINTS.index(tail) for _, tail, _, _ in PARTS])
_THIGH, _SHIN, _FOOT, _TRUNK = 0.245, 0.245, 0.09, 0.30
_UPPER_ARM, _FOREARM, _HAND = 0.17, 0.15, 0.05


def _angles(motion: Motion, phase: Array, side: int) -> dict[str, Array | float]:
    """Return the angles of one side (0 left, 1 right) in radians, forward positive; 0 if missing.

    "raise" lifts the arm sideways, and "spread" the leg. "flight" is not an angle: body heights of
    both feet above the ground.
    """
    turn = phase if side == 0 else phase + np.pi
    if motion is Motion.WALK:
        return {
            "thigh": 0.06 + 0.42 * np.sin(turn),
            "knee": 0.1 + 0.8 * _swing(turn),
            "shoulder": -0.4 * np.sin(turn),
            "elbow": 0.3,
            "raise": 0.08,
            "lean": 0.03,
        }
    if motion is Motion.RUN:
        return {
            "thigh": 0.3 + 0.8 * np.sin(turn),
            "knee": 0.3 + 1.7 * _swing(turn),
            "shoulder": -0.1 - 0.9 * np.sin(turn),
            "elbow": 1.6,
            "raise": 0.15,
            "lean": 0.28,
            "flight": 0.05 * np.abs(np.sin(phase)),
        }
    if motion is Motion.JACK:
        apart = 0.5 - 0.5 * np.cos(phase)  # 0 together, arms down; 1 apart, arms up
        return {
            "knee": 0.1 + 0.1 * apart,
            "elbow": 0.1,
            "raise": 0.1 + 2.7 * apart,
            "spread": 0.02 + 0.5 * apart,
            "flight": 0.06 * np.abs(np.sin(phase)),
        }
    waving = side == 1
    lift = 2.5 + 0.4 * np.sin(phase) if waving else 0.08
    return {"knee": 0.05, "elbow": 0.2 if waving else 0.15, "raise": lift}


def _swing(phase: Array) -> Array:
    """Return how much the knee bends, 0 to 1: only while the thigh swings forward."""
    return np.maximum(0, np.cos(phase + 0.7))


def _joints(track: Track) -> Array:
    """Return joints as (frames, joints, 3) forward, left, up of the point below the pelvis."""
    poses = [[_angles(motion, track.phase, side) for motion in MOTIONS] for side in (0, 1)]

    def mixed(name: str, side: int = 0) -> Array:
        columns = [np.broadcast_to(pose.get(name, 0.0), track.phase.shape) for pose in poses[side]]
        return np.asarray(np.einsum("fm,mf->f", track.weights, np.stack(columns)))

    zero = np.zeros_like(track.phase)
    lean = mixed("lean")
    at: dict[str, Array] = {"pelvis": np.stack((zero, zero, zero), axis=-1)}

    def along(start: str, end: str, length: float, angle: Array, side: Array | None = None) -> None:
        """Add a bone that hangs down, turned forward by `angle` and then sideways by `side`."""
        lift = zero if side is None else side
        bone = (np.sin(angle), np.cos(angle) * np.sin(lift), -np.cos(angle) * np.cos(lift))
        at[end] = at[start] + length * np.stack(bone, axis=-1)

    for name, up in (("waist", 0.1), ("chest", 0.24), ("neck", _TRUNK), ("chin", 0.37)):
        at[name] = up * np.stack((np.sin(lean), zero, np.cos(lean)), axis=-1)
    at["crown"] = at["chin"] + np.stack((zero + 0.01, zero, zero + 0.06), axis=-1)
    at["brow"] = at["crown"] + np.stack((zero - 0.035, zero, zero), axis=-1)
    for index, side in enumerate(_SIDES):
        sign = 1.0 if side == "left" else -1.0
        thigh, knee = mixed("thigh", index), mixed("knee", index)
        at[f"{side}_hip"] = at["pelvis"] + np.stack((zero, zero + sign * 0.05, zero), axis=-1)
        apart = sign * mixed("spread", index)
        along(f"{side}_hip", f"{side}_knee", _THIGH, thigh, apart)
        along(f"{side}_knee", f"{side}_ankle", _SHIN, thigh - knee, apart)
        along(f"{side}_ankle", f"{side}_toe", _FOOT, thigh - knee + np.pi / 2)
        shoulder, elbow = mixed("shoulder", index) + lean, mixed("elbow", index)
        raised = sign * mixed("raise", index)
        offset = np.stack((zero, zero + sign * 0.1, zero + 0.02), axis=-1)
        at[f"{side}_shoulder"] = at["chest"] + offset
        along(f"{side}_shoulder", f"{side}_elbow", _UPPER_ARM, shoulder, raised)
        along(f"{side}_elbow", f"{side}_wrist", _FOREARM, shoulder + elbow, raised)
        along(f"{side}_wrist", f"{side}_hand", _HAND, shoulder + elbow, raised)

    joints = np.stack([at[name] for name in _JOINTS], axis=1)
    lowest = np.minimum(at["left_ankle"][:, 2], at["right_ankle"][:, 2])
    joints[:, :, 2] += (mixed("flight") + 0.04 - lowest)[:, None]  # stand on the lower foot
    return joints


def _world(joints: Array, track: Track, look: Look) -> Array:
    """Turn joints by the heading and set them on the ground: (frames, joints, 3) as x, up, z."""
    forward, left, up = np.moveaxis(joints * look.height, -1, 0)
    cos, sin = np.cos(track.heading)[:, None], np.sin(track.heading)[:, None]
    x = track.position[:, :1] + forward * cos - left * sin
    z = track.position[:, 1:] + forward * sin + left * cos
    return np.stack((x, up, z), axis=-1)


# --- randomness and painting -------------------------------------------------------------------


def _cloth(rng: np.random.Generator) -> Color:
    """Return a random color, bright or dull."""
    hue, saturation, value = rng.random(), rng.uniform(0.1, 0.8), rng.uniform(60, 225)
    wheel = np.clip(np.abs((hue * 6 - np.array((3.0, 2.0, 4.0)) + 3) % 6 - 3) - 0.5, 0, 1)
    red, green, blue = value * (1 - saturation * (1 - wheel))
    return float(red), float(green), float(blue)


def _depth(ground: Ground, rng: np.random.Generator) -> float:
    return float(rng.uniform(ground.near, ground.far))


def _next_goal(ground: Ground, side: float, rng: np.random.Generator) -> Array:
    return np.array((side * rng.uniform(0.45, 1.0) * ground.half_width, _depth(ground, rng)))


def _patch(
    image: NDArray[np.float32], left: int, top: int, right: int, bottom: int
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Return the part of `image` in a box, and the x (1, width) and y (height, 1) of its pixels."""
    left, top = max(left, 0), max(top, 0)
    patch = image[top : max(bottom, 0), left : max(right, 0)]
    x = np.arange(left, left + patch.shape[1], dtype=np.float32)
    return patch, x, np.arange(top, top + patch.shape[0], dtype=np.float32)[:, None]


def _paint_capsule(
    image: NDArray[np.float32], head: Array, tail: Array, radius: float, color: NDArray[np.float32]
) -> None:
    """Blend an anti-aliased line with round ends over `image`, shaded like a cylinder."""
    reach = radius + 1
    left, top = np.floor(np.minimum(head, tail) - reach).astype(int)
    right, bottom = np.ceil(np.maximum(head, tail) + reach).astype(int) + 1
    patch, x, y = _patch(image, left, top, right, bottom)
    if patch.size == 0:
        return
    x, y = x - np.float32(head[0]), y - np.float32(head[1])
    bone_x, bone_y = (float(v) for v in tail - head)
    along = (x * bone_x + y * bone_y) / max(bone_x * bone_x + bone_y * bone_y, 1e-6)
    along = np.clip(along, 0, 1)
    distance = np.hypot(x - along * bone_x, y - along * bone_y)
    cover = np.clip(radius + 0.5 - distance, 0, 1)
    light = 1.08 - 0.38 * np.square(distance / max(radius, 0.5))
    patch += cover[..., None] * (light[..., None] * color - patch)


def _paint_shadow(
    image: NDArray[np.float32], feet: Array, half_width: float, half_height: float
) -> None:
    """Darken a soft ellipse of ground under a figure."""
    left, right = int(feet[0] - half_width), int(feet[0] + half_width) + 2
    top, bottom = int(feet[1] - half_height), int(feet[1] + half_height) + 2
    patch, x, y = _patch(image, left, top, right, bottom)
    if patch.size == 0:
        return
    squares = np.square((x - feet[0]) / half_width) + np.square((y - feet[1]) / half_height)
    patch *= (1 - 0.45 * np.clip(1.2 - squares, 0, 1))[..., None].astype(np.float32)
