// Camera: which part of the world a canvas shows, and how it is turned.

const MIN_ZOOM = 0.15; // pixels a metre
const MAX_ZOOM = 60;

export class Camera {
  constructor() {
    this.x = 0;
    this.y = 0;
    this.zoom = 6;
    this.turn = 0; // [rad] by which the world is turned, counter-clockwise
  }

  zoomBy(factor) {
    this.zoom = Math.min(Math.max(this.zoom * factor, MIN_ZOOM), MAX_ZOOM);
  }

  /** Zoom so that the world under a point of the canvas stays there. */
  zoomAt(factor, point, size) {
    const before = this.toWorld(point, size);
    this.zoomBy(factor);
    const after = this.toWorld(point, size);
    this.x += before[0] - after[0];
    this.y += before[1] - after[1];
  }

  /** Move by pixels of the canvas. */
  panBy(dx, dy) {
    const cos = Math.cos(this.turn);
    const sin = Math.sin(this.turn);
    this.x -= (cos * dx - sin * dy) / this.zoom;
    this.y += (sin * dx + cos * dy) / this.zoom;
  }

  toScreen([x, y], { width, height }) {
    const cos = Math.cos(this.turn);
    const sin = Math.sin(this.turn);
    const [dx, dy] = [x - this.x, y - this.y];
    return [
      width / 2 + this.zoom * (cos * dx - sin * dy),
      height / 2 - this.zoom * (sin * dx + cos * dy),
    ];
  }

  toWorld([column, row], { width, height }) {
    const u = (column - width / 2) / this.zoom;
    const v = (height / 2 - row) / this.zoom;
    const cos = Math.cos(this.turn);
    const sin = Math.sin(this.turn);
    return [this.x + cos * u + sin * v, this.y - sin * u + cos * v];
  }

  /** Let the units of a canvas be metres east and north of `origin`. */
  apply(context, { width, height }, ratio, origin) {
    const cos = this.zoom * Math.cos(this.turn) * ratio;
    const sin = this.zoom * Math.sin(this.turn) * ratio;
    const [dx, dy] = [origin[0] - this.x, origin[1] - this.y];
    context.setTransform(
      cos, -sin, -sin, -cos,
      (width * ratio) / 2 + cos * dx - sin * dy,
      (height * ratio) / 2 - sin * dx - cos * dy,
    );
  }

  /** Bounds of what is in view. */
  view(size) {
    const reach = Math.hypot(size.width, size.height) / 2 / this.zoom;
    return { x0: this.x - reach, x1: this.x + reach, y0: this.y - reach, y1: this.y + reach };
  }
}
