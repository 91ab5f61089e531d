// Scene: one canvas that shows a drive from above at a moment.

import { colourOf, disc, paintActor } from "./actors.js";
import { Camera } from "./camera.js";
import { palette } from "./palette.js";
import { pathOf } from "./town.js";

const RED = 0;
const YELLOW = 1;
const GREEN = 2;
const RECENT_S = 3; // infractions are ringed for this long
const GRID_M = 50;

export class Scene {
  /**
   * @param {HTMLCanvasElement} canvas
   * @param {object} layers what is shown: route, lights, boxes, trail, seen, plan, scripts, labels
   */
  constructor(canvas, layers) {
    this.canvas = canvas;
    this.layers = layers;
    this.camera = new Camera();
    this.drive = null;
    this.followed = 0; // track
  }

  show(drive, town) {
    this.drive = drive;
    this.town = town;
    this.followed = 0;
    this.routePath = pathOf(drive.route.x, drive.route.y, town.origin);
    this.trailPath = pathOf(drive.trail.x, drive.trail.y, town.origin);
  }

  get size() {
    return { width: this.canvas.clientWidth, height: this.canvas.clientHeight };
  }

  /** Bring the camera to whom it follows; `mode` is "north", "heading" or "free". */
  follow(timeS, mode) {
    if (!this.drive || mode === "free") return;
    const pose = this.drive.poseAt(this.followed, timeS) ?? this.drive.poseAt(0, timeS);
    this.camera.x = pose.x;
    this.camera.y = pose.y;
    this.camera.turn = mode === "heading" ? Math.PI / 2 - pose.yaw : 0;
    if (mode === "heading") this.camera.panBy(0, this.size.height * 0.2);
  }

  /** The track under a point of the canvas, or null. */
  trackAt(point, timeS) {
    const [x, y] = this.camera.toWorld(point, this.size);
    let best = null;
    let nearest = Math.max(2.5, 12 / this.camera.zoom);
    for (const track of this.drive.presentAt(timeS)) {
      const pose = this.drive.poseAt(track, timeS);
      const distance = Math.hypot(pose.x - x, pose.y - y);
      if (distance < nearest) [best, nearest] = [track, distance];
    }
    return best;
  }

  paint(timeS) {
    const { canvas, drive, town, camera, layers } = this;
    const size = this.size;
    const ratio = devicePixelRatio;
    const [width, height] = [Math.round(size.width * ratio), Math.round(size.height * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const context = canvas.getContext("2d");
    const colours = palette();
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.fillStyle = colours.ground;
    context.fillRect(0, 0, width, height);
    if (!drive) return;
    camera.apply(context, size, ratio, town.origin);
    context.lineJoin = context.lineCap = "round";
    const view = camera.view(size);
    this.#paintGrid(context, view, colours);
    town.paint(context, view, camera.zoom, colours);
    const step = drive.stepAt(timeS);
    if (layers.route) this.#paintRoute(context, colours);
    if (layers.trail) this.#paintTrail(context, step, colours);
    if (layers.lights) this.#paintRules(context, step, view, colours);
    if (layers.scripts) this.#paintScripts(context, timeS, colours);
    if (layers.plan) this.#paintPlan(context, step, colours);
    if (layers.boxes) this.#paintActors(context, timeS, view, colours);
    if (layers.seen) this.#paintSeen(context, timeS, step, colours);
    this.#paintInfractions(context, timeS, colours);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    if (layers.labels) this.#paintLabels(context, timeS, colours);
  }

  /** At least `pixels` wide, or `metres` where that is more. */
  #width(metres, pixels) {
    return Math.max(metres, pixels / this.camera.zoom);
  }

  #local(x, y) {
    return [x - this.town.origin[0], y - this.town.origin[1]];
  }

  #paintGrid(context, view, colours) {
    context.strokeStyle = colours.line;
    context.lineWidth = this.#width(0, 0.5);
    context.globalAlpha = 0.5;
    context.beginPath();
    const every = this.camera.zoom < 1 ? 4 * GRID_M : GRID_M;
    for (let x = Math.ceil(view.x0 / every) * every; x < view.x1; x += every) {
      context.moveTo(...this.#local(x, view.y0));
      context.lineTo(...this.#local(x, view.y1));
    }
    for (let y = Math.ceil(view.y0 / every) * every; y < view.y1; y += every) {
      context.moveTo(...this.#local(view.x0, y));
      context.lineTo(...this.#local(view.x1, y));
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  #paintRoute(context, colours) {
    context.strokeStyle = colours.route;
    context.globalAlpha = 0.45;
    context.lineWidth = this.#width(1.5, 3);
    context.stroke(this.routePath);
    context.globalAlpha = 1;
    const { x, y } = this.drive.route;
    context.fillStyle = colours.route;
    disc(context, ...this.#local(x[x.length - 1], y[y.length - 1]), this.#width(1.2, 4));
  }

  #paintTrail(context, step, colours) {
    context.strokeStyle = colours.ego;
    context.lineWidth = this.#width(0.25, 1);
    context.globalAlpha = 0.35;
    context.setLineDash([this.#width(1, 3), this.#width(1.4, 4)]);
    context.stroke(this.trailPath);
    context.setLineDash([]);
    context.globalAlpha = 0.9;
    context.beginPath();
    const { x, y } = this.drive.trail;
    for (let i = Math.max(0, step - 600); i <= step; i++) context.lineTo(...this.#local(x[i], y[i]));
    context.stroke();
    context.globalAlpha = 1;
  }

  /** Stop lines by the state of their light, told apart by their pattern too; stop signs. */
  #paintRules(context, step, view, colours) {
    for (const line of this.town.stopLines) {
      if (line.x0 < view.x0 || line.x0 > view.x1 || line.y0 < view.y0 || line.y0 > view.y1) continue;
      if (line.light >= this.drive.numLights) continue;
      const state = this.drive.light(line.light, step);
      if (state !== RED && state !== YELLOW && state !== GREEN) continue;
      const thin = state === GREEN;
      context.strokeStyle = [colours.red, colours.yellow, colours.green][state];
      context.lineWidth = this.#width(thin ? 0.35 : 0.8, thin ? 1.5 : 3);
      if (state === YELLOW) context.setLineDash([0.9, 0.9]);
      context.lineCap = "butt";
      context.beginPath();
      context.moveTo(...this.#local(line.x0, line.y0));
      context.lineTo(...this.#local(line.x1, line.y1));
      context.stroke();
      context.setLineDash([]);
      context.lineCap = "round";
    }
    for (const sign of this.town.stopSigns) {
      const [x, y] = this.#local(sign.x, sign.y);
      context.fillStyle = colours.red;
      context.strokeStyle = colours.outline;
      context.lineWidth = 0.2;
      context.beginPath();
      for (let i = 0; i < 8; i++) {
        const angle = sign.yaw_rad + Math.PI / 8 + (i * Math.PI) / 4;
        context.lineTo(x + 1.1 * Math.cos(angle), y + 1.1 * Math.sin(angle));
      }
      context.closePath();
      context.fill();
      context.stroke();
    }
  }

  #paintScripts(context, timeS, colours) {
    for (const trigger of this.drive.triggers) {
      const begun = trigger.started_s !== null && trigger.started_s <= timeS;
      const [x, y] = this.#local(trigger.x, trigger.y);
      const reach = this.#width(1.3, 6);
      context.beginPath();
      for (const [u, v] of [[0, 1], [1, 0], [0, -1], [-1, 0]]) {
        context.lineTo(x + u * reach, y + v * reach);
      }
      context.closePath();
      context.strokeStyle = context.fillStyle = colours.script;
      context.lineWidth = this.#width(0.2, 1.5);
      context.stroke();
      if (begun) context.fill();
    }
  }

  #paintPlan(context, step, colours) {
    const plan = this.drive.planAt(step);
    if (!plan) return;
    context.strokeStyle = colours.plan;
    context.lineWidth = this.#width(0.6, 2);
    context.beginPath();
    for (const [x, y] of plan) context.lineTo(...this.#local(x, y));
    context.stroke();
  }

  #paintActors(context, timeS, view, colours) {
    for (const track of this.drive.presentAt(timeS)) {
      const pose = this.drive.poseAt(track, timeS);
      if (!pose || pose.x < view.x0 || pose.x > view.x1 || pose.y < view.y0 || pose.y > view.y1) {
        continue;
      }
      if (this.camera.zoom < 1.2) this.#paintDot(context, track, pose, colours);
      else paintActor(context, this.drive, track, pose, this.town.origin, colours);
      if (track === this.followed && track !== 0) {
        context.strokeStyle = colours.accent;
        context.lineWidth = this.#width(0.25, 2);
        context.beginPath();
        const [x, y] = this.#local(pose.x, pose.y);
        context.arc(x, y, this.#width(this.drive.halfLength[track] + 1, 8), 0, 2 * Math.PI);
        context.stroke();
      }
    }
  }

  #paintDot(context, track, pose, colours) {
    context.fillStyle = colourOf(this.drive.kind[track], track === 0, colours);
    disc(context, ...this.#local(pose.x, pose.y), this.#width(1, track === 0 ? 6 : 2.5));
  }

  /**
   * What the vector observation told when it was seen: the actors in its slots, dashed where one is
   * farther away than the numbers reach, and its points of the route.
   */
  #paintSeen(context, timeS, step, colours) {
    const seen = this.drive.seenAt(step);
    const scales = this.drive.about.scales;
    if (!seen.size || !scales) return;
    const ego = this.drive.poseAt(0, this.drive.seenTimeAt(step));
    const cos = Math.cos(ego.yaw);
    const sin = Math.sin(ego.yaw);
    const place = (forward, left) =>
      this.#local(ego.x + cos * forward - sin * left, ego.y + sin * forward + cos * left);
    context.strokeStyle = context.fillStyle = colours.seen;
    context.lineWidth = this.#width(0.2, 1.5);
    for (const [name, value] of seen) {
      const point = /^route_([\d.]+)m_forward$/.exec(name);
      if (point) {
        const ahead = Number(point[1]);
        const left = seen.get(`route_${point[1]}m_left`);
        disc(context, ...place(value * ahead, left * ahead), this.#width(0.25, 2));
      }
      const slot = /^((?:actor|vehicle|pedestrian|static)_\d+)_present$/.exec(name);
      if (slot && value > 0.5) {
        const [forward, left] = [seen.get(`${slot[1]}_forward`), seen.get(`${slot[1]}_left`)];
        const beyond = Math.max(Math.abs(forward), Math.abs(left)) >= (scales.clip ?? Infinity) - 1e-6;
        context.setLineDash(beyond ? [this.#width(0.5, 3), this.#width(0.5, 3)] : []);
        context.beginPath();
        const centre = place(forward * scales.actor_forward_m, left * scales.actor_left_m);
        context.arc(...centre, this.#width(2.6, 9), 0, 2 * Math.PI);
        context.stroke();
        context.setLineDash([]);
      }
    }
  }

  #paintInfractions(context, timeS, colours) {
    for (const infraction of this.drive.infractions) {
      if (infraction.x === undefined) continue;
      const [x, y] = this.#local(infraction.x, infraction.y);
      const reach = this.#width(1.1, 6);
      context.strokeStyle = colours.red;
      context.lineWidth = this.#width(0.35, 2.5);
      context.globalAlpha = infraction.time_s <= timeS + 1e-6 ? 1 : 0.45;
      context.beginPath();
      context.moveTo(x - reach, y - reach);
      context.lineTo(x + reach, y + reach);
      context.moveTo(x - reach, y + reach);
      context.lineTo(x + reach, y - reach);
      context.stroke();
      const since = timeS - infraction.time_s;
      if (since >= -1e-6 && since < RECENT_S) {
        context.globalAlpha = 1 - since / RECENT_S;
        context.beginPath();
        context.arc(x, y, reach * (1.6 + 2 * since), 0, 2 * Math.PI);
        context.stroke();
      }
      context.globalAlpha = 1;
    }
  }

  #paintLabels(context, timeS, colours) {
    context.font = "11px system-ui, sans-serif";
    context.textAlign = "center";
    for (const track of this.drive.presentAt(timeS)) {
      const pose = this.drive.poseAt(track, timeS);
      const [column, row] = this.camera.toScreen([pose.x, pose.y], this.size);
      const text = `${this.drive.id[track]} · ${pose.speed.toFixed(1)}`;
      const above = row - 8 - this.drive.halfWidth[track] * this.camera.zoom;
      context.lineWidth = 3;
      context.strokeStyle = colours.ground;
      context.strokeText(text, column, above);
      context.fillStyle = colours.ink;
      context.fillText(text, column, above);
    }
  }
}
