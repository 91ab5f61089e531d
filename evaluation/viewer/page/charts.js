// Charts: speed, controls, reward and value, and every reward term over time, with a cursor.

import { palette } from "./palette.js";

const LEFT = 112; // pixels for labels
const RIGHT = 10;
const TOP = 12; // for marks of infractions
const BOTTOM = 16; // for the time axis
const TERM_ROW = 12;
const REWARD_WINDOW_S = 1;
const TERMINAL = "terminal"; // the one reward term beside progress that is no factor in [0, 1]
const TERMINAL_WIDTH = 3; // pixels of its moments

export class Charts {
  /** @param {(timeS: number) => void} onSeek */
  constructor(canvas, onSeek) {
    this.canvas = canvas;
    this.drive = null;
    this.second = null;
    this.picture = document.createElement("canvas"); // everything but the cursor
    const seek = (event) => {
      if (!this.drive) return;
      const share = (event.offsetX - LEFT) / (canvas.clientWidth - LEFT - RIGHT);
      onSeek(Math.min(Math.max(share, 0), 1) * this.drive.durationS);
    };
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      seek(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (event.buttons) seek(event);
    });
  }

  show(drive, second) {
    this.drive = drive;
    this.second = second;
    this.stale = true;
  }

  #column(timeS) {
    const width = this.canvas.clientWidth - LEFT - RIGHT;
    return LEFT + (width * timeS) / this.drive.durationS;
  }

  paint(timeS) {
    if (!this.drive) return;
    const ratio = devicePixelRatio;
    const width = Math.round(this.canvas.clientWidth * ratio);
    const height = Math.round(this.canvas.clientHeight * ratio);
    if (this.stale || this.picture.width !== width || this.picture.height !== height) {
      Object.assign(this.canvas, { width, height });
      Object.assign(this.picture, { width, height });
      this.#paintPicture(ratio);
      this.stale = false;
    }
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    context.drawImage(this.picture, 0, 0);
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.strokeStyle = palette().ink;
    context.lineWidth = 1;
    context.beginPath();
    const column = Math.round(this.#column(timeS)) + 0.5;
    context.moveTo(column, 2);
    context.lineTo(column, this.canvas.clientHeight - BOTTOM + 3);
    context.stroke();
  }

  #paintPicture(ratio) {
    const context = this.picture.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.font = "11px system-ui, sans-serif";
    const colours = palette();
    const factors = this.drive.terms.filter((name) => name !== "progress");
    const inside = this.canvas.clientHeight - TOP - BOTTOM;
    const forTerms = factors.length ? Math.min(factors.length * TERM_ROW + 6, inside * 0.4) : 0;
    const bands = this.#bands();
    const band = (inside - forTerms) / bands.length;
    this.#paintMarks(context, colours);
    bands.forEach((paint, index) => paint(context, TOP + index * band, band, colours));
    this.#paintTerms(context, TOP + bands.length * band, forTerms, factors, colours);
    this.#paintAxis(context, colours);
  }

  /** What paints each band of this drive: only what somebody recorded gets one. */
  #bands() {
    const knows = (...names) => names.some((name) => this.drive.driver(name));
    const bands = [(...where) => this.#paintSpeed(...where)];
    if (knows("throttle", "brake", "steer")) bands.push((...where) => this.#paintControls(...where));
    if (knows("reward", "value")) bands.push((...where) => this.#paintReward(...where));
    return bands;
  }

  #paintMarks(context, colours) {
    context.fillStyle = colours.red;
    for (const infraction of this.drive.infractions) {
      const column = this.#column(Math.min(infraction.time_s, this.drive.durationS));
      context.globalAlpha = 0.25;
      context.fillRect(column - 0.5, TOP, 1, this.canvas.clientHeight - TOP - BOTTOM);
      context.globalAlpha = 1;
      context.beginPath();
      context.moveTo(column - 4, 2);
      context.lineTo(column + 4, 2);
      context.lineTo(column, TOP - 2);
      context.fill();
    }
    context.fillStyle = colours.script;
    for (const trigger of this.drive.triggers) {
      if (trigger.started_s === null) continue;
      const column = this.#column(trigger.started_s);
      context.fillRect(column - 2, 5, 4, 4);
    }
  }

  #paintSpeed(context, top, height, colours) {
    const speed = this.drive.driver("speed_mps");
    const limit = this.drive.driver("speed_limit_mps");
    const most = 1.08 * Math.max(1, maximum(speed), maximum(limit), maximum(this.#secondSpeed()));
    const row = (value) => top + height - 3 - ((height - 6) * value) / most;
    this.#label(context, top, "speed", `${most.toFixed(0)} m/s`, colours);
    if (limit) this.#line(context, limit, row, colours.muted, 1, [3, 3]);
    const second = this.#secondSpeed();
    if (second) this.#line(context, second, row, colours.second, 1.5, [], this.second.stepS);
    if (speed) this.#line(context, speed, row, colours.ego, 1.6);
    this.#rule(context, top + height, colours);
  }

  #secondSpeed() {
    return this.second?.driver("speed_mps");
  }

  #paintControls(context, top, height, colours) {
    const middle = top + height / 2;
    const reach = height / 2 - 3;
    this.#label(context, top, "throttle, brake", "steering", colours);
    const row = (value) => middle - reach * value;
    const throttle = this.drive.driver("throttle");
    const brake = this.drive.driver("brake");
    const steer = this.drive.driver("steer");
    if (throttle) this.#area(context, throttle, row, middle, colours.green);
    if (brake) this.#area(context, brake, (value) => middle + reach * value, middle, colours.red);
    if (steer) this.#line(context, steer, row, colours.car, 1.2);
    this.#rule(context, top + height, colours);
  }

  #paintReward(context, top, height, colours) {
    const reward = this.drive.driver("reward");
    if (reward) {
      const sums = movingSum(reward, Math.round(REWARD_WINDOW_S / this.drive.stepS));
      const [least, most] = [Math.min(0, minimum(sums)), Math.max(0.1, maximum(sums))];
      const row = (value) => top + height - 3 - ((height - 6) * (value - least)) / (most - least);
      this.#area(context, sums, row, row(0), colours.route);
      this.#label(context, top, "reward / s", "", colours);
    }
    const value = this.drive.driver("value");
    if (value) {
      const [least, most] = [minimum(value), Math.max(maximum(value), minimum(value) + 0.1)];
      const row = (v) => top + height - 3 - ((height - 6) * (v - least)) / (most - least);
      if (!reward) this.#label(context, top, "value", "", colours);
      this.#line(context, value, row, colours["two-wheeler"], 1.4);
      const text = `value ${least.toFixed(1)}–${most.toFixed(1)}`;
      context.fillStyle = colours["two-wheeler"];
      context.textAlign = "right";
      context.fillText(text, this.canvas.clientWidth - RIGHT - 2, top + 11);
    }
    this.#rule(context, top + height, colours);
  }

  /** A row for each factor and the terminal cost: the deeper the colour, the more it takes. */
  #paintTerms(context, top, height, factors, colours) {
    const row = (height - 4) / Math.max(factors.length, 1);
    const width = this.canvas.clientWidth - LEFT - RIGHT;
    factors.forEach((name, index) => {
      const lossAt = lossOf(name, this.drive.term(name));
      const { length } = this.drive.term(name);
      const wide = name === TERMINAL ? TERMINAL_WIDTH : 1;
      const y = top + 3 + index * row;
      context.fillStyle = colours.muted;
      context.textAlign = "right";
      context.font = `${Math.min(10.5, row + 1)}px system-ui, sans-serif`;
      context.fillText(short(name), LEFT - 6, y + row - 1.5);
      context.fillStyle = colours.line;
      context.globalAlpha = 0.5;
      context.fillRect(LEFT, y, width, row - 1.5);
      context.fillStyle = colours.red;
      for (let pixel = 0; pixel < width; pixel++) {
        const from = Math.floor((pixel * length) / width);
        const to = Math.max(from + 1, Math.floor(((pixel + 1) * length) / width));
        let lost = 0;
        for (let i = from; i < to; i++) lost = Math.max(lost, lossAt(i));
        if (lost < 0.005) continue;
        context.globalAlpha = 0.15 + 0.85 * Math.min(lost, 1);
        context.fillRect(LEFT + pixel - (wide - 1) / 2, y, wide, row - 1.5);
      }
      context.globalAlpha = 1;
    });
    context.font = "11px system-ui, sans-serif";
  }

  #paintAxis(context, colours) {
    const every = niceStep(this.drive.durationS / Math.max(this.canvas.clientWidth / 110, 1));
    context.fillStyle = colours.muted;
    context.textAlign = "center";
    const row = this.canvas.clientHeight - 4;
    for (let time = 0; time <= this.drive.durationS; time += every) {
      context.fillText(`${Number(time.toFixed(2))} s`, Math.max(this.#column(time), LEFT), row);
    }
  }

  #label(context, top, first, second, colours) {
    context.textAlign = "right";
    context.fillStyle = colours.ink;
    context.font = "10.5px system-ui, sans-serif";
    context.fillText(first.split(", ")[0], LEFT - 6, top + 12);
    context.fillStyle = colours.muted;
    const more = [...first.split(", ").slice(1), second].filter(Boolean);
    more.forEach((text, i) => context.fillText(text, LEFT - 6, top + 24 + 12 * i));
    context.font = "11px system-ui, sans-serif";
  }

  #rule(context, row, colours) {
    context.fillStyle = colours.line;
    context.fillRect(LEFT, Math.round(row), this.canvas.clientWidth - LEFT - RIGHT, 1);
  }

  #line(context, values, row, colour, width, dash = [], stepS = this.drive.stepS) {
    context.save();
    context.beginPath();
    context.rect(LEFT, 0, this.canvas.clientWidth - LEFT - RIGHT, this.canvas.clientHeight);
    context.clip();
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.setLineDash(dash);
    context.lineJoin = "round";
    context.beginPath();
    values.forEach((value, i) => context.lineTo(this.#column((i + 1) * stepS), row(value)));
    context.stroke();
    context.restore();
  }

  #area(context, values, row, base, colour) {
    context.fillStyle = colour;
    context.globalAlpha = 0.55;
    context.beginPath();
    context.moveTo(LEFT, base);
    values.forEach((value, i) =>
      context.lineTo(this.#column((i + 1) * this.drive.stepS), row(value)),
    );
    context.lineTo(this.#column(this.drive.durationS), base);
    context.fill();
    context.globalAlpha = 1;
  }
}

/** What a reward term takes at a step, [0, 1]: of the reward, or of its own largest cost. */
function lossOf(name, values) {
  if (name !== TERMINAL) return (step) => 1 - values[step];
  const most = Math.max(-minimum(values), 1e-9);
  return (step) => Math.max(-values[step], 0) / most;
}

function maximum(values) {
  return values ? values.reduce((a, b) => Math.max(a, b), -Infinity) : -Infinity;
}

function minimum(values) {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}

export function movingSum(values, window) {
  let sum = 0;
  return values.map((value, i) => {
    sum += value - (i >= window ? values[i - window] : 0);
    return sum;
  });
}

/** 1, 2 or 5 times a power of ten, at least `least`. */
export function niceStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((digit) => digit * power).find((step) => step >= least);
}

function short(name) {
  const words = name.replaceAll("_", " ");
  return words.length > 20 ? `${words.slice(0, 19)}…` : words;
}
