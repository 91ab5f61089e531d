// Raster: what a raster policy was shown, the ego looking up, all channels together or one alone.

import { byId, make } from "./dom.js";
import { inflated } from "./packing.js";

const NO_CHANNEL = [24, 26, 30];
const ALL_CHANNELS = "all channels";
// By the beginning of a channel's name, in the order in which they cover each other
const CHANNEL_COLOURS = [
  ["shoulder", [58, 60, 66]],
  ["road", [88, 92, 100]],
  ["route", [64, 128, 176]],
  ["markings", [222, 222, 214]],
  ["lane_boundaries", [222, 222, 214]],
  ["stop_lines", [238, 232, 200]],
  ["stop_sign", [214, 92, 214]],
  ["speed_limits", [120, 92, 200]],
  ["statics", [186, 140, 92]],
  ["vehicles", [90, 208, 128]],
  ["pedestrians", [255, 196, 64]],
  ["ego", [255, 255, 255]],
];
const CHANNEL_LIGHTS = [[200, [238, 64, 56]], [120, [250, 196, 48]], [1, [72, 220, 96]]];

export class Raster {
  /** @param {object} drive a Drive whose `about.raster` says what was kept */
  constructor(drive) {
    this.drive = drive;
    this.view = drive.about.raster;
    this.shown = -1;
    const names = [ALL_CHANNELS, ...this.view.channels];
    const choice = byId("raster-channel");
    const before = choice.value;
    choice.replaceChildren(...names.map((name) => make("option", { value: name }, name.replaceAll("_", " "))));
    choice.value = names.includes(before) ? before : ALL_CHANNELS;
    choice.onchange = () => this.#paint();
  }

  /** Show the frame that the policy had at a step. */
  async show(step) {
    const index = this.drive.rasterIndexAt(step);
    if (index === this.shown) return;
    this.shown = index;
    const bytes = await inflated(this.drive.rasterBytes(index));
    if (index !== this.shown) return; // another moment was asked for meanwhile
    this.bytes = bytes;
    this.#paint();
  }

  #paint() {
    if (!this.bytes) return;
    const size = this.view.size_px;
    const canvas = byId("raster");
    Object.assign(canvas, { width: size, height: size });
    const context = canvas.getContext("2d");
    const image = context.createImageData(size, size);
    const chosen = this.view.channels.indexOf(byId("raster-channel").value);
    const colour = chosen < 0 ? this.#together.bind(this) : (at) => grey(this.#value(chosen, at));
    for (let at = 0; at < size * size; at++) image.data.set([...colour(at), 255], 4 * at);
    context.putImageData(image, 0, 0);
    const column = size / 2;
    const row = size - this.view.ego_px_from_bottom;
    const metre = this.view.pixels_per_meter;
    context.fillStyle = "white";
    context.fillRect(column - metre, row - 2.4 * metre, 2 * metre, 4.8 * metre);
  }

  #value(channel, at) {
    return this.bytes[channel * this.view.size_px ** 2 + at];
  }

  #together(at) {
    let pixel = NO_CHANNEL;
    for (const [prefix, colour] of CHANNEL_COLOURS) {
      const channel = lastOf(this.view.channels, prefix);
      if (channel < 0) continue;
      let share = this.#value(channel, at) / 255;
      // Speed codes begin at half: stretched, or standing cars would be half seen
      if (share > 0 && /^(vehicles|pedestrians)/.test(prefix)) share = 0.35 + 0.65 * share;
      pixel = pixel.map((from, i) => from + share * (colour[i] - from));
    }
    const lights = Math.max(lastOf(this.view.channels, "light"), lastOf(this.view.channels, "signals"));
    const light = lights < 0 ? 0 : this.#value(lights, at);
    return CHANNEL_LIGHTS.find(([lowest]) => light >= lowest)?.[1] ?? pixel;
  }
}

function grey(value) {
  return [value, value, value];
}

function lastOf(names, prefix) {
  return names.findLastIndex((name) => name.startsWith(prefix));
}
