// How road users look: cars with windscreen, brake lights and blinkers, discs for people.

import { KIND } from "./drive.js";

const SPEED_LINE_S = 0.6; // a line ahead as long as the way in this time
const BRAKE_LIGHT = 1; // bits of LightBit
const LEFT_BLINKER = 2;
const RIGHT_BLINKER = 4;
const WITH_SCREEN = [KIND.car, KIND.van, KIND.truck];

/** Paint one road user in metres; the canvas is at the town's origin. */
export function paintActor(context, drive, track, pose, origin, colours) {
  const isEgo = track === 0;
  const kind = drive.kind[track];
  context.save();
  context.translate(pose.x - origin[0], pose.y - origin[1]);
  if (kind === KIND.pedestrian) {
    paintPerson(context, colours);
  } else {
    context.rotate(pose.yaw);
    const length = Math.max(drive.halfLength[track], 0.2);
    const width = Math.max(drive.halfWidth[track], 0.2);
    if (kind >= KIND.prop || kind === KIND.none) paintProp(context, length, width, colours);
    else paintVehicle(context, { kind, isEgo, pose, length, width: Math.max(width, 0.4) }, colours);
  }
  context.restore();
}

export function colourOf(kind, isEgo, colours) {
  if (isEgo) return colours.ego;
  if (kind === KIND.pedestrian) return colours.pedestrian;
  if (kind === KIND.van || kind === KIND.truck) return colours.large;
  if (kind === KIND.motorcycle || kind === KIND.bicycle) return colours["two-wheeler"];
  return kind === KIND.car ? colours.car : colours.prop;
}

function paintPerson(context, colours) {
  context.fillStyle = colours.pedestrian;
  context.globalAlpha = 0.3;
  disc(context, 0, 0, 1.1);
  context.globalAlpha = 1;
  disc(context, 0, 0, 0.5);
  context.strokeStyle = colours.outline;
  context.lineWidth = 0.1;
  context.stroke();
}

function paintProp(context, length, width, colours) {
  context.fillStyle = colours.prop;
  context.fillRect(-length, -width, 2 * length, 2 * width);
  context.strokeStyle = colours.outline;
  context.lineWidth = 0.08;
  context.strokeRect(-length, -width, 2 * length, 2 * width);
}

function paintVehicle(context, { kind, isEgo, pose, length, width }, colours) {
  const colour = colourOf(kind, isEgo, colours);
  if (pose.speed > 0.5) {
    context.strokeStyle = colour;
    context.globalAlpha = 0.55;
    context.lineWidth = 0.25;
    context.beginPath();
    context.moveTo(length, 0);
    context.lineTo(length + pose.speed * SPEED_LINE_S, 0);
    context.stroke();
    context.globalAlpha = 1;
  }
  if (isEgo) {
    context.fillStyle = colour;
    context.globalAlpha = 0.18;
    disc(context, 0, 0, length + 1.4);
    context.globalAlpha = 1;
  }
  context.fillStyle = colour;
  context.beginPath();
  context.roundRect(-length, -width, 2 * length, 2 * width, Math.min(0.45, 0.4 * width));
  context.fill();
  context.strokeStyle = colours.outline;
  context.lineWidth = isEgo ? 0.18 : 0.08;
  context.stroke();
  if (WITH_SCREEN.includes(kind)) {
    context.fillStyle = colours.glass;
    context.fillRect(0.14 * length, -0.72 * width, 0.28 * length, 1.44 * width);
    context.fillRect(-0.72 * length, -0.66 * width, 0.16 * length, 1.32 * width);
  }
  paintLamps(context, pose.lights, length, width, colours);
}

function paintLamps(context, lights, length, width, colours) {
  if (lights & BRAKE_LIGHT) {
    context.fillStyle = colours.brake;
    for (const side of [-0.65, 0.65]) {
      context.fillRect(-length, (side - 0.28) * width, 0.45, 0.56 * width);
    }
  }
  context.fillStyle = colours.blinker;
  for (const [bit, side] of [[LEFT_BLINKER, 1], [RIGHT_BLINKER, -1]]) {
    if (!(lights & bit)) continue;
    for (const end of [-0.82, 0.82]) disc(context, end * length, side * width, 0.32);
  }
}

export function disc(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
}
