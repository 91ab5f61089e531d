// Drive: one recorded drive, ready to be asked who is where at any moment.

import { unpack } from "./packing.js";

export const KINDS = [
  "none", "car", "van", "truck", "motorcycle", "bicycle", "pedestrian", "prop", "debris",
];
const SLOWER = "min_speed_infractions"; // its percent is the ego's speed of the traffic's
const LONGEST_HOLD_S = 1; // of an action: what was seen before it stays until the next
export const KIND = Object.fromEntries(KINDS.map((name, index) => [name, index]));

export class Drive {
  /** @param {string} base64 the file of the drive */
  static async read(base64) {
    return new Drive(await unpack(base64));
  }

  constructor({ about, columns }) {
    this.about = about;
    this.stepS = about.step_s;
    this.columns = columns;
    this.kind = columns.get("track.kind");
    this.id = columns.get("track.id");
    this.first = columns.get("track.first");
    this.count = columns.get("track.count");
    this.halfLength = columns.get("track.half_length_m");
    this.halfWidth = columns.get("track.half_width_m");
    this.numTracks = this.count.length;
    this.numSteps = this.count[0];
    this.start = new Float64Array(this.numTracks);
    for (let i = 1; i < this.numTracks; i++) this.start[i] = this.start[i - 1] + this.count[i - 1];
    this.route = { x: columns.get("route.x"), y: columns.get("route.y") };
    this.terms = [...columns.keys()]
      .filter((name) => name.startsWith("term."))
      .map((name) => name.slice("term.".length));
    this.numLights = columns.get("signals").length / this.numSteps;
    this.durationS = this.numSteps * this.stepS;
    this.infractions = [...about.infractions].sort((a, b) => a.time_s - b.time_s);
    this.triggers = about.triggers ?? [];
  }

  /** A number of the driver over the steps, or undefined if nobody recorded it. */
  driver(name) {
    return this.columns.get(`driver.${name}`);
  }

  term(name) {
    return this.columns.get(`term.${name}`);
  }

  /** The step that a moment belongs to: step k ends at (k + 1) steps. */
  stepAt(timeS) {
    return Math.min(Math.max(Math.round(timeS / this.stepS) - 1, 0), this.numSteps - 1);
  }

  light(light, step) {
    return this.columns.get("signals")[light * this.numSteps + step];
  }

  isPresent(track, step) {
    return step >= this.first[track] && step < this.first[track] + this.count[track];
  }

  /** Pose of a track between the steps around a moment, or null while it is not there. */
  poseAt(track, timeS) {
    const exact = Math.min(Math.max(timeS / this.stepS - 1, 0), this.numSteps - 1);
    const step = Math.floor(exact);
    const since = step - this.first[track];
    if (since < 0 || since >= this.count[track]) return null;
    const at = this.start[track] + since;
    const next = since + 1 < this.count[track] ? at + 1 : at;
    const share = exact - step;
    const mix = (name) => {
      const values = this.columns.get(name);
      return values[at] + share * (values[next] - values[at]);
    };
    return {
      x: mix("x"),
      y: mix("y"),
      yaw: mix("yaw_rad"),
      speed: mix("speed_mps"),
      lights: this.columns.get("lights")[at],
    };
  }

  /** Tracks that are there at a moment, the ego last so that it is drawn on top. */
  presentAt(timeS) {
    const step = Math.floor(Math.min(Math.max(timeS / this.stepS - 1, 0), this.numSteps - 1));
    const tracks = [];
    for (let track = this.numTracks - 1; track >= 0; track--) {
      if (this.isPresent(track, step)) tracks.push(track);
    }
    return tracks;
  }

  /** Where the ego was at each step: {x, y} arrays. */
  get trail() {
    return {
      x: this.columns.get("x").subarray(0, this.numSteps),
      y: this.columns.get("y").subarray(0, this.numSteps),
    };
  }

  /** What the policy was shown at a step, by name; empty if nothing was kept. */
  seenAt(step) {
    const values = this.columns.get("seen");
    return new Map(this.about.seen.map((name, i) => [name, values[i * this.numSteps + step]]));
  }

  /** The moment that this was seen in: before the first step for which it was all there was to see. */
  seenTimeAt(step) {
    const values = this.columns.get("seen");
    const rows = this.about.seen.map((_, i) => i * this.numSteps);
    const least = Math.max(step - Math.round(LONGEST_HOLD_S / this.stepS), 0);
    let first = step;
    while (first > least && rows.every((row) => values[row + first - 1] === values[row + step])) first--;
    return first * this.stepS;
  }

  /** Number of the raster that the policy had at a step. */
  rasterIndexAt(step) {
    const steps = this.columns.get("raster.step");
    return Math.max(steps.findLastIndex((shown) => shown <= step), 0);
  }

  /** A raster as it is kept: deflated. */
  rasterBytes(index) {
    const sizes = this.columns.get("raster.size");
    const first = sizes.subarray(0, index).reduce((sum, size) => sum + size, 0);
    return Uint8Array.from(
      this.columns.get("raster.bytes").subarray(first, first + sizes[index]),
      (value) => value + 128,
    );
  }

  /** Planned path at a step as [[x, y], ...], or null. */
  planAt(step) {
    const x = this.columns.get("plan.x");
    if (!x) return null;
    const y = this.columns.get("plan.y");
    const length = x.length / this.numSteps;
    const points = [];
    for (let i = step * length; i < (step + 1) * length; i++) points.push([x[i], y[i]]);
    return points;
  }

  /** The moment at which this drive had come as far along the route as `percent`. */
  timeAtPercent(percent) {
    const passed = this.driver("route_percent");
    if (!passed) return 0;
    let low = 0;
    let high = this.numSteps - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (passed[middle] < percent) low = middle + 1;
      else high = middle;
    }
    return (low + 1) * this.stepS;
  }
}

/** By how much, of an infraction that is about a stretch. */
export function shareText({ kind, percent }) {
  if (kind === SLOWER) return ` by ${(100 - percent).toFixed(0)}\u00a0%`;
  return percent ? ` ${percent.toFixed(0)}\u00a0%` : "";
}
