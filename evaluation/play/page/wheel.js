// Wheel: which driving keys are held. Told at once, since a person feels a twentieth of a second.

const ACTIONS = {
  ArrowLeft: "left",
  ArrowRight: "right",
  ArrowUp: "throttle",
  ArrowDown: "brake",
  KeyA: "left",
  KeyD: "right",
  KeyW: "throttle",
  KeyS: "brake",
  Space: "brake",
};

export class Wheel {
  /** @param {(held: string[]) => void} onChange */
  constructor(onChange) {
    this.onChange = onChange;
    this.pressed = new Set(); // by the key's place, so that any layout of letters works
    addEventListener("keydown", (event) => {
      if (!ACTIONS[event.code] || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.target.matches("select, input, dialog *")) return;
      event.preventDefault();
      event.target.blur(); // else the space key would press a button, too
      if (this.pressed.has(event.code)) return;
      this.pressed.add(event.code);
      this.#tell();
    });
    addEventListener("keyup", (event) => {
      if (this.pressed.delete(event.code)) this.#tell();
    });
    addEventListener("blur", () => this.release());
    document.addEventListener("visibilitychange", () => this.release());
  }

  get held() {
    return [...new Set([...this.pressed].map((code) => ACTIONS[code]))];
  }

  /** Nobody tells a page of keys that go up elsewhere. */
  release() {
    if (this.pressed.size === 0) return;
    this.pressed.clear();
    this.#tell();
  }

  #tell() {
    this.onChange(this.held);
  }
}
