"""Articulated figures that walk, run, wave or do jumping jacks: where they go, how they are drawn.

A figure is one body height tall; ground coordinates are in body heights: x to the right, z away
from the camera. The joint angles are plain sinusoids of a gait phase, which is enough for an action
recognition network to tell the motions apart.
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
    """What a figure can be told to do."""

    WALK = "walk"
    RUN = "run"
    WAVE = "wave"  # stand still with an arm raised
    JACK = "jack"  # jumping jacks: legs and both arms apart and together, on the spot


@dataclass(frozen=True)
class Gait:
    """How one motion goes: body heights a second, gait cycles a second, radians a second."""

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
EASE_SECONDS = 0.12  # time constant with which a body follows what it is told


@dataclass(frozen=True)
class Camera:
    """A pinhole whose optical axis is level: pixels, body heights."""

    focal: float  # pixels
    height: float  # body heights above the ground
    center_x: float  # pixels
    horizon_y: float  # pixels

    def project(self, points: Array) -> tuple[Array, Array]:
        """World points (x, up, z) (..., 3) to pixels (..., 2), and pixels a body height (...)."""
        scale = self.focal / points[..., 2]
        x = self.center_x + scale * points[..., 0]
        y = self.horizon_y + scale * (self.height - points[..., 1])
        return np.stack((x, y), axis=-1), scale


@dataclass(frozen=True)
class Ground:
    """The part of the ground where figures go, in body heights."""

    half_width: float
    near: float
    far: float


@dataclass(frozen=True)
class Look:
    """Colours and build of one figure."""

    skin: Color
    hair: Color
    top: Color
    bottom: Color
    shoes: Color
    girth: float  # 1 is average
    height: float  # 1 is average


@dataclass(frozen=True)
class Track:
    """A figure's course, frame by frame.

    position: (frames, 2) x and z in body heights. heading: (frames,) radians, 0 to the right, a
    quarter turn away from the camera. phase: (frames,) radians of the gait cycle. weights: (frames,
    motions) how much of each of `MOTIONS` is in the pose; rows sum to 1.
    """

    position: Array
    heading: Array
    phase: Array
    weights: Array


def draw_look(rng: np.random.Generator) -> Look:
    """Clothes, skin and build by chance."""
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
    """Let a figure wander over `ground`, doing in each frame what `motions` says.

    It heads for points drawn on alternate sides, and turns no faster than its gait allows.
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
    # A sum of more terms is rounded in another order, and a last bit can change a picture: motions
    # that came later are left out where a figure does not make them, so old drawings stay.
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
        positions[frame], headings[frame], phases[frame], mixes[frame] = (
            place,
            heading,
            phase,
            weights,
        )
    return Track(positions, headings, phases, mixes)


def limbs(track: Track, look: Look, camera: Camera, light: NDArray[np.float32]) -> Limbs:
    """A track as capsules to draw, in pixels, for every frame; `light` (3,) tints colours."""
    joints = _world(_joints(track), track, look)  # (frames, joints, 3)
    pixels, scale = camera.project(joints)
    heads, tails = pixels[:, _HEADS], pixels[:, _TAILS]  # (frames, parts, 2)
    depth = (joints[:, _HEADS, 2] + joints[:, _TAILS, 2]) / 2
    widths = np.array([part.radius for part in PARTS]) * look.girth * look.height
    radius = widths * (scale[:, _HEADS] + scale[:, _TAILS]) / 2
    colors = np.array([getattr(look, part.color) for part in PARTS], dtype=np.float32) * light
    feet = np.stack((track.position[:, 0], np.zeros(len(scale)), track.position[:, 1]), axis=-1)
    return Limbs(heads, tails, radius, depth, colors, *camera.project(feet))


@dataclass(frozen=True)
class Limbs:
    """Capsules of one figure: heads and tails (frames, parts, 2) and radius (frames, parts) in
    pixels,
    depth (frames, parts) in body heights, colors (parts, 3); feet (frames, 2) and scale
    (frames,)."""

    heads: Array
    tails: Array
    radius: Array
    depth: Array
    colors: NDArray[np.float32]
    feet: Array
    scale: Array

    def draw(self, image: NDArray[np.float32], frame: int) -> None:
        """Paint it over `image` (height, width, 3): shadow, then the farthest part first."""
        scale = float(self.scale[frame])
        _paint_shadow(image, self.feet[frame], 0.22 * scale, 0.05 * scale)
        for part in np.argsort(-self.depth[frame], kind="stable"):
            _paint_capsule(
                image,
                self.heads[frame, part],
                self.tails[frame, part],
                float(self.radius[frame, part]),
                self.colors[part],
            )


# --- the body -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """One capsule between two joints; radius in body heights, colour a field of `Look`."""

    head: str
    tail: str
    radius: float
    color: str


_SIDES = ("left", "right")
_JOINTS = (
    "pelvis",
    "waist",
    "chest",
    "neck",
    "chin",
    "crown",
    "brow",
    *(
        f"{side}_{name}"
        for side in _SIDES
        for name in ("hip", "knee", "ankle", "toe", "shoulder", "elbow", "wrist", "hand")
    ),
)
PARTS = (
    Part("pelvis", "waist", 0.085, "bottom"),
    Part("waist", "chest", 0.095, "top"),
    Part("neck", "chin", 0.035, "skin"),
    Part("chin", "crown", 0.06, "skin"),
    Part("brow", "crown", 0.058, "hair"),
    Part("left_shoulder", "right_shoulder", 0.055, "top"),
    *(
        part
        for side in _SIDES
        for part in (
            Part(f"{side}_hip", f"{side}_knee", 0.06, "bottom"),
            Part(f"{side}_knee", f"{side}_ankle", 0.042, "bottom"),
            Part(f"{side}_ankle", f"{side}_toe", 0.03, "shoes"),
            Part(f"{side}_shoulder", f"{side}_elbow", 0.038, "top"),
            Part(f"{side}_elbow", f"{side}_wrist", 0.03, "skin"),
            Part(f"{side}_wrist", f"{side}_hand", 0.03, "skin"),
        )
    ),
)
_HEADS = np.array([_JOINTS.index(part.head) for part in PARTS])
_TAILS = np.array([_JOINTS.index(part.tail) for part in PARTS])
_THIGH, _SHIN, _FOOT, _TRUNK = 0.245, 0.245, 0.09, 0.30
_UPPER_ARM, _FOREARM, _HAND = 0.17, 0.15, 0.05


@dataclass(frozen=True)
class _Pose:
    """Angles of one motion in radians (frames,), forward positive.

    `raise_` lifts arms sideways, `spread` the legs.
    """

    thigh: tuple[Array, Array]
    knee: tuple[Array, Array]
    shoulder: tuple[Array, Array]
    elbow: tuple[Array, Array]
    raise_: tuple[Array, Array]
    spread: tuple[Array, Array]
    lean: Array
    flight: Array  # body heights that both feet are off the ground


def _pose(motion: Motion, phase: Array) -> _Pose:
    zero = np.zeros_like(phase)
    left, right = phase, phase + np.pi
    if motion is Motion.WALK:
        return _Pose(
            thigh=(0.06 + 0.42 * np.sin(left), 0.06 + 0.42 * np.sin(right)),
            knee=(0.1 + 0.8 * _swing(left), 0.1 + 0.8 * _swing(right)),
            shoulder=(-0.4 * np.sin(left), -0.4 * np.sin(right)),
            elbow=(zero + 0.3, zero + 0.3),
            raise_=(zero + 0.08, zero + 0.08),
            spread=(zero, zero),
            lean=zero + 0.03,
            flight=zero,
        )
    if motion is Motion.RUN:
        return _Pose(
            thigh=(0.3 + 0.8 * np.sin(left), 0.3 + 0.8 * np.sin(right)),
            knee=(0.3 + 1.7 * _swing(left), 0.3 + 1.7 * _swing(right)),
            shoulder=(-0.1 - 0.9 * np.sin(left), -0.1 - 0.9 * np.sin(right)),
            elbow=(zero + 1.6, zero + 1.6),
            raise_=(zero + 0.15, zero + 0.15),
            spread=(zero, zero),
            lean=zero + 0.28,
            flight=0.05 * np.abs(np.sin(phase)),
        )
    if motion is Motion.JACK:
        apart = 0.5 - 0.5 * np.cos(phase)  # 0 together, arms down; 1 apart, arms up
        return _Pose(
            thigh=(zero, zero),
            knee=(0.1 + 0.1 * apart, 0.1 + 0.1 * apart),
            shoulder=(zero, zero),
            elbow=(zero + 0.1, zero + 0.1),
            raise_=(0.1 + 2.7 * apart, 0.1 + 2.7 * apart),
            spread=(0.02 + 0.5 * apart, 0.02 + 0.5 * apart),
            lean=zero,
            flight=0.06 * np.abs(np.sin(phase)),
        )
    return _Pose(
        thigh=(zero, zero),
        knee=(zero + 0.05, zero + 0.05),
        shoulder=(zero, zero),
        elbow=(zero + 0.15, zero + 0.2),
        raise_=(zero + 0.08, 2.5 + 0.4 * np.sin(phase)),
        spread=(zero, zero),
        lean=zero,
        flight=zero,
    )


def _swing(phase: Array) -> Array:
    """How far a leg is in its swing, 0 to 1: the knee bends while the thigh comes forward."""
    return np.maximum(0, np.cos(phase + 0.7))


def _joints(track: Track) -> Array:
    """Joints relative to the point below the pelvis: (frames, joints, 3) forward, left, up."""
    poses = [_pose(motion, track.phase) for motion in MOTIONS]

    def mixed(name: str, side: int | None = None) -> Array:
        values = [getattr(pose, name) for pose in poses]
        columns = [value if side is None else value[side] for value in values]
        return np.asarray(np.einsum("fm,mf->f", track.weights, np.stack(columns)))

    zero = np.zeros_like(track.phase)
    lean = mixed("lean")
    at: dict[str, Array] = {"pelvis": np.stack((zero, zero, zero), axis=-1)}

    def along(start: str, end: str, length: float, angle: Array, side: Array | None = None) -> None:
        """A bone hanging down, turned forward by `angle`, then lifted sideways by `side`."""
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
        raised = sign * mixed("raise_", index)
        at[f"{side}_shoulder"] = at["chest"] + np.stack(
            (zero, zero + sign * 0.1, zero + 0.02), axis=-1
        )
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


# --- chance and paint -----------------------------------------------------------------------------


def _cloth(rng: np.random.Generator) -> Color:
    """A colour that may be bright or dull."""
    hue, saturation, value = rng.random(), rng.uniform(0.1, 0.8), rng.uniform(60, 225)
    wheel = np.clip(np.abs((hue * 6 - np.array((3.0, 2.0, 4.0)) + 3) % 6 - 3) - 0.5, 0, 1)
    red, green, blue = value * (1 - saturation * (1 - wheel))
    return float(red), float(green), float(blue)


def _depth(ground: Ground, rng: np.random.Generator) -> float:
    return float(rng.uniform(ground.near, ground.far))


def _next_goal(ground: Ground, side: float, rng: np.random.Generator) -> Array:
    return np.array((side * rng.uniform(0.45, 1.0) * ground.half_width, _depth(ground, rng)))


def _paint_capsule(
    image: NDArray[np.float32],
    head: Array,
    tail: Array,
    radius: float,
    color: NDArray[np.float32],
) -> None:
    """Blend a thick line with round ends over `image`, anti-aliased, shaded like a cylinder."""
    reach = radius + 1
    left, top = np.floor(np.minimum(head, tail) - reach).astype(int)
    right, bottom = np.ceil(np.maximum(head, tail) + reach).astype(int) + 1
    left, top = max(left, 0), max(top, 0)
    patch = image[top : max(bottom, 0), left : max(right, 0)]
    if patch.size == 0:
        return
    x = np.arange(left, left + patch.shape[1], dtype=np.float32) - np.float32(head[0])
    y = np.arange(top, top + patch.shape[0], dtype=np.float32)[:, None] - np.float32(head[1])
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
    left, top = max(left, 0), max(top, 0)
    patch = image[top : max(bottom, 0), left : max(right, 0)]
    if patch.size == 0:
        return
    x = (np.arange(left, left + patch.shape[1], dtype=np.float32) - feet[0]) / half_width
    y = (np.arange(top, top + patch.shape[0], dtype=np.float32)[:, None] - feet[1]) / half_height
    patch *= (1 - 0.45 * np.clip(1.2 - (x * x + y * y), 0, 1))[..., None].astype(np.float32)
