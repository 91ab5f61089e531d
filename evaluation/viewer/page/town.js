// Town: what does not move, cut into tiles so that only what is in view is painted.

import { unpack } from "./packing.js";

const TILE_M = 96;
export const AREAS = ["sidewalk", "shoulder", "parking", "road", "crosswalk"];
export const LINES = ["marking", "centre"];
const LINE_WIDTH_M = 0.15;
const DETAIL_ZOOM = 2.2; // pixels a metre from which markings are worth painting

export class Town {
  static async read(base64) {
    return new Town(await unpack(base64));
  }

  constructor({ columns }) {
    const road = columns.get("road.x");
    // Paths are stored relative to the origin: canvases compute in single precision
    this.origin = road.length ? [road[0], columns.get("road.y")[0]] : [0, 0];
    this.tiles = new Map();
    for (const layer of [...AREAS, ...LINES]) this.#addLayer(layer, columns);
    this.stopLines = rowsOf(columns, "stop_line", ["x0", "y0", "x1", "y1", "light"]);
    this.stopSigns = rowsOf(columns, "stop_sign", ["x", "y", "yaw_rad"]);
    this.bounds = boundsOf([...this.tiles.values()]);
  }

  #addLayer(layer, columns) {
    const x = columns.get(`${layer}.x`);
    const y = columns.get(`${layer}.y`);
    let at = 0;
    for (const count of columns.get(`${layer}.count`)) {
      this.#addShape(layer, x.subarray(at, at + count), y.subarray(at, at + count));
      at += count;
    }
  }

  #addShape(layer, x, y) {
    const box = { x0: min(x), x1: max(x), y0: min(y), y1: max(y) };
    const column = Math.floor((box.x0 + box.x1) / 2 / TILE_M);
    const row = Math.floor((box.y0 + box.y1) / 2 / TILE_M);
    const key = `${column},${row}`;
    if (!this.tiles.has(key)) this.tiles.set(key, { ...box, paths: new Map() });
    const tile = this.tiles.get(key);
    Object.assign(tile, boundsOf([tile, box]));
    if (!tile.paths.has(layer)) tile.paths.set(layer, new Path2D());
    tile.paths.get(layer).addPath(pathOf(x, y, this.origin, AREAS.includes(layer)));
  }

  /** Paint onto a canvas whose units are metres from `origin`. */
  paint(context, view, zoom, colours) {
    const visible = [...this.tiles.values()].filter(
      (tile) =>
        tile.x1 > view.x0 && tile.x0 < view.x1 && tile.y1 > view.y0 && tile.y0 < view.y1,
    );
    for (const layer of AREAS) {
      if (layer === "crosswalk" && zoom < DETAIL_ZOOM) continue;
      context.fillStyle = colours[layer];
      for (const tile of visible) {
        const path = tile.paths.get(layer);
        if (path) context.fill(path);
      }
    }
    if (zoom < DETAIL_ZOOM) return;
    context.lineWidth = LINE_WIDTH_M;
    for (const layer of LINES) {
      context.strokeStyle = colours[layer];
      for (const tile of visible) {
        const path = tile.paths.get(layer);
        if (path) context.stroke(path);
      }
    }
  }
}

export function pathOf(x, y, origin, closed = false) {
  const path = new Path2D();
  for (let i = 0; i < x.length; i++) path.lineTo(x[i] - origin[0], y[i] - origin[1]);
  if (closed) path.closePath();
  return path;
}

function rowsOf(columns, prefix, names) {
  const arrays = names.map((name) => columns.get(`${prefix}.${name}`));
  return Array.from(arrays[0], (_, row) =>
    Object.fromEntries(names.map((name, i) => [name, arrays[i][row]])),
  );
}

function boundsOf(boxes) {
  return {
    x0: Math.min(...boxes.map((box) => box.x0)),
    x1: Math.max(...boxes.map((box) => box.x1)),
    y0: Math.min(...boxes.map((box) => box.y0)),
    y1: Math.max(...boxes.map((box) => box.y1)),
  };
}

const min = (values) => values.reduce((a, b) => Math.min(a, b), Infinity);
const max = (values) => values.reduce((a, b) => Math.max(a, b), -Infinity);
