// LiveDrive: a drive while it is driven; the scene asks it what it asks a recorded one.

const KEPT = 10; // moments, for going smoothly from one to the next
const NOTHING = new Map();

export class LiveDrive {
  /**
   * @param {object} message what stays as it is during the drive
   * @param {string[]} columns of the actors of a moment
   */
  constructor(message, columns) {
    this.about = message;
    this.stepS = message.step_s;
    this.route = { x: message.x, y: message.y };
    this.numLights = message.num_lights;
    this.trail = { x: [], y: [] };
    this.column = Object.fromEntries(columns.map((name, index) => [name, index]));
    // By track: 0 is the ego, the others go by their ids
    this.id = {};
    this.kind = {};
    this.halfLength = {};
    this.halfWidth = {};
    this.moments = [];
  }

  /** Take the next moment, or the same once more. */
  add(message) {
    const actors = new Map();
    message.actors.forEach((row, index) => {
      const track = index === 0 ? 0 : row[this.column.id];
      actors.set(track, row);
      this.id[track] = row[this.column.id];
      this.kind[track] = row[this.column.kind];
      this.halfLength[track] = row[this.column.half_length_m];
      this.halfWidth[track] = row[this.column.half_width_m];
    });
    if (this.moments.at(-1)?.step === message.step) this.moments.pop();
    this.moments.push({ ...message, actors, timeS: message.step * this.stepS });
    if (this.moments.length > KEPT) this.moments.shift();
    const ego = actors.get(0);
    this.trail.x[message.step] = ego[this.column.x];
    this.trail.y[message.step] = ego[this.column.y];
  }

  get latest() {
    return this.moments.at(-1);
  }

  get timeS() {
    return this.latest.timeS;
  }

  get infractions() {
    return this.latest.infractions;
  }

  get triggers() {
    return this.latest.scripts.map(({ x, y, state }) => ({
      x,
      y,
      started_s: state === "waits" ? null : 0,
    }));
  }

  stepAt(timeS) {
    return Math.min(Math.max(Math.round(timeS / this.stepS), 0), this.trail.x.length - 1);
  }

  light(light) {
    return this.latest.lights[light];
  }

  /** The moments before and after a time, and how far it lies between them. */
  #around(timeS) {
    const after = this.moments.findIndex((moment) => moment.timeS > timeS);
    if (after < 0) return [this.latest, this.latest, 0];
    if (after === 0) return [this.moments[0], this.moments[0], 0];
    const [a, b] = [this.moments[after - 1], this.moments[after]];
    return [a, b, (timeS - a.timeS) / (b.timeS - a.timeS)];
  }

  /** Pose of a track, or null while it is not there. */
  poseAt(track, timeS) {
    const [before, after, share] = this.#around(timeS);
    const a = before.actors.get(track);
    if (!a) return null;
    const b = after.actors.get(track) ?? a;
    const mix = (name) => a[this.column[name]] + share * (b[this.column[name]] - a[this.column[name]]);
    const turn = b[this.column.yaw_rad] - a[this.column.yaw_rad];
    return {
      x: mix("x"),
      y: mix("y"),
      yaw: a[this.column.yaw_rad] + share * Math.atan2(Math.sin(turn), Math.cos(turn)),
      speed: mix("speed_mps"),
      lights: a[this.column.lights],
    };
  }

  /** Tracks that are there, the ego last so that it is drawn on top. */
  presentAt(timeS) {
    return [...this.#around(timeS)[0].actors.keys()].reverse();
  }

  seenAt() {
    return NOTHING;
  }

  planAt() {
    return null;
  }
}
