"""Plane geometry for kernels: angles, frames, segments, oriented boxes.

All functions take and return scalars, work in the right-handed world frame and leave touching
shapes apart: two boxes that share an edge do not overlap.
"""

from __future__ import annotations

import math

from sim_adapters.kernels import device_function, inlined_function

_TURN_RAD = 2.0 * math.pi


@inlined_function
def wrap_angle(angle_rad: float) -> float:
    """The same direction in [-pi, pi]; an odd function, so mirrored angles stay mirrored."""
    return angle_rad - _TURN_RAD * round(angle_rad / _TURN_RAD)


@inlined_function
def forward_offset_m(dx: float, dy: float, cos_yaw: float, sin_yaw: float) -> float:
    """Forward component of a world offset in a frame whose x axis is (cos_yaw, sin_yaw)."""
    return cos_yaw * dx + sin_yaw * dy


@inlined_function
def left_offset_m(dx: float, dy: float, cos_yaw: float, sin_yaw: float) -> float:
    """Left component of a world offset in a frame whose x axis is (cos_yaw, sin_yaw)."""
    return cos_yaw * dy - sin_yaw * dx


@inlined_function
def _side(ax: float, ay: float, bx: float, by: float, px: float, py: float) -> float:
    """Twice the signed area of triangle a, b, p: positive if p lies left of a -> b."""
    return (bx - ax) * (py - ay) - (by - ay) * (px - ax)


@device_function
def segments_cross(
    ax: float, ay: float, bx: float, by: float, cx: float, cy: float, dx: float, dy: float
) -> bool:
    """Whether segments a-b and c-d meet in one point.

    An end on the other segment counts, parallel segments never meet, collinear ones included.
    """
    c_side, d_side = _side(ax, ay, bx, by, cx, cy), _side(ax, ay, bx, by, dx, dy)
    if c_side * d_side > 0.0 or c_side == d_side:
        return False
    return _side(cx, cy, dx, dy, ax, ay) * _side(cx, cy, dx, dy, bx, by) <= 0.0


@device_function
def closest_fraction(px: float, py: float, ax: float, ay: float, bx: float, by: float) -> float:
    """Where on segment a-b the point nearest to p lies: 0 is a, 1 is b."""
    ux, uy = bx - ax, by - ay
    squared = ux * ux + uy * uy
    if squared <= 0.0:
        return 0.0
    return min(max(((px - ax) * ux + (py - ay) * uy) / squared, 0.0), 1.0)


@device_function
def point_in_box(
    px: float,
    py: float,
    x: float,
    y: float,
    yaw_rad: float,
    half_length_m: float,
    half_width_m: float,
) -> bool:
    """Whether p lies inside the box centred at (x, y)."""
    cos_yaw, sin_yaw = math.cos(yaw_rad), math.sin(yaw_rad)
    forward = forward_offset_m(px - x, py - y, cos_yaw, sin_yaw)
    left = left_offset_m(px - x, py - y, cos_yaw, sin_yaw)
    return abs(forward) < half_length_m and abs(left) < half_width_m


@device_function
def turned_boxes_overlap(
    dx: float,
    dy: float,
    cos_a: float,
    sin_a: float,
    half_length_a: float,
    half_width_a: float,
    cos_b: float,
    sin_b: float,
    half_length_b: float,
    half_width_b: float,
) -> bool:
    """Whether two boxes in the plane overlap, by the separating-axis theorem.

    (dx, dy) leads from the centre of box a to that of box b; each box gives cosine and sine of its
    yaw and its half extents. The caller who tests one box many times computes its sines once.
    """
    # |cosine| and |sine| of the angle between the boxes project one box onto the other's axes
    turn_cos = abs(cos_a * cos_b + sin_a * sin_b)
    turn_sin = abs(cos_a * sin_b - sin_a * cos_b)
    reach = half_length_a + half_length_b * turn_cos + half_width_b * turn_sin
    if abs(cos_a * dx + sin_a * dy) >= reach:
        return False
    reach = half_width_a + half_length_b * turn_sin + half_width_b * turn_cos
    if abs(cos_a * dy - sin_a * dx) >= reach:
        return False
    reach = half_length_b + half_length_a * turn_cos + half_width_a * turn_sin
    if abs(cos_b * dx + sin_b * dy) >= reach:
        return False
    reach = half_width_b + half_length_a * turn_sin + half_width_a * turn_cos
    return abs(cos_b * dy - sin_b * dx) < reach


@device_function
def boxes_overlap(
    x_a: float,
    y_a: float,
    yaw_a: float,
    half_length_a: float,
    half_width_a: float,
    x_b: float,
    y_b: float,
    yaw_b: float,
    half_length_b: float,
    half_width_b: float,
) -> bool:
    """Whether two oriented boxes in the plane overlap."""
    return turned_boxes_overlap(
        x_b - x_a,
        y_b - y_a,
        math.cos(yaw_a),
        math.sin(yaw_a),
        half_length_a,
        half_width_a,
        math.cos(yaw_b),
        math.sin(yaw_b),
        half_length_b,
        half_width_b,
    )


@inlined_function
def heights_overlap(
    ground_a: float, half_height_a: float, ground_b: float, half_height_b: float
) -> bool:
    """Whether two boxes standing on heights `ground_*` share some height.

    Our boxes turn about the vertical only. Then the 15 separating axes of two boxes in space are
    the four of `turned_boxes_overlap` and this one: both together are the exact test in 3-D.
    """
    return ground_a < ground_b + 2.0 * half_height_b and ground_b < ground_a + 2.0 * half_height_a
