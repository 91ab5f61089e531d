// The page on which one drives: a scene that the server keeps up to date, and what may be done in it.

import { byId, make } from "./dom.js";
import { listen, ZOOM } from "./keyboard.js";
import { Link } from "./link.js";
import { LiveDrive } from "./live_drive.js";
import { chooseTheme, followSystemTheme, isDark } from "./palette.js";
import { connectPointer } from "./pointer.js";
import { Readings } from "./readings.js";
import { Scene } from "./scene.js";
import { Town } from "./town.js";
import { Wheel } from "./wheel.js";

const BEHIND_S = 0.06; // the picture lags by this, so that there is a moment on either side of it
const CATCH_UP_PER_S = 3;
const TURN_PER_S = 2.5; // how fast the camera follows the car's heading
const AHEAD_SHARE = 0.18; // of the picture's height that the car is below its middle
const SAID_MS = 5000;
const CAMERAS = ["heading", "north"];
const LAYERS = {
  route: true, trail: true, lights: true, boxes: true, scripts: true, labels: false,
};

class Play {
  constructor() {
    this.setup = JSON.parse(byId("setup").textContent);
    this.scene = new Scene(byId("scene"), { ...LAYERS });
    this.scene.camera.zoom = 9;
    this.cameraMode = "heading";
    this.readings = new Readings(this.setup);
    this.link = new Link({
      drive: (message) => this.#beginDrive(message),
      moment: (message) => this.#take(message),
      said: (message) => this.say(message.text),
      lost: () => this.say("the server has ended: start evaluation.play again", Infinity),
    });
    this.wheel = new Wheel((held) => {
      if (held.length > 0) byId("hint").hidden = true;
      this.tell("keys", { held });
    });
    this.#connect();
  }

  get drive() {
    return this.scene.drive;
  }

  async start() {
    this.town = await Town.read(byId("town").textContent);
    this.link.open();
    let last = performance.now();
    const frame = (now) => {
      if (this.drive?.latest) this.#paint(Math.min((now - last) / 1000, 0.1));
      last = now;
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  // What keys and buttons do ------------------------------------------------------------------

  tell(what, more = {}) {
    this.link.tell({ do: what, ...more });
  }

  toggleDriver() {
    const planner = this.drive.latest.driver === "person";
    if (planner) byId("hint").hidden = true;
    this.tell("wheel", { driver: planner ? "planner" : "person" });
  }

  startScript(number) {
    const script = this.setup.scripts[number];
    if (script) this.tell("script", { type: script.type });
  }

  restart() {
    this.tell("route", { route: this.drive.about.route });
  }

  nextRoute() {
    const ids = this.setup.routes.map((route) => route.id);
    const next = (ids.indexOf(this.drive.about.route) + 1) % ids.length;
    this.tell("route", { route: ids[next] });
  }

  togglePause() {
    this.tell("pause", { paused: !this.drive.latest.paused });
  }

  /** The viewer's page of all drives so far, in a tab of its own. */
  watch() {
    open(`/watch${location.search}`, "_blank");
  }

  nextCamera() {
    const place = CAMERAS.indexOf(this.cameraMode); // from "free" to the first
    this.cameraMode = CAMERAS[(place + 1) % CAMERAS.length];
  }

  zoom(factor) {
    this.scene.camera.zoomBy(factor);
  }

  toggleLayer(name) {
    this.scene.layers[name] = !this.scene.layers[name];
  }

  toggleTheme() {
    chooseTheme(isDark() ? "light" : "dark");
  }

  toggleHelp() {
    const help = byId("help");
    if (help.open) help.close();
    else help.showModal();
  }

  say(text, forMs = SAID_MS) {
    clearTimeout(this.silence);
    byId("message").textContent = text;
    byId("message").hidden = text === "";
    if (forMs < Infinity) this.silence = setTimeout(() => this.say("", Infinity), forMs);
  }

  // The server's messages ---------------------------------------------------------------------

  #beginDrive(message) {
    this.scene.show(new LiveDrive(message, this.setup.actor_columns), this.town);
    this.shownS = 0;
    this.turn = null;
    if (this.cameraMode === "free") this.cameraMode = "heading";
    this.readings.begin(message);
    this.say("", Infinity);
  }

  #take(message) {
    this.drive.add(message);
    this.readings.show(this.drive);
  }

  // Painting ----------------------------------------------------------------------------------

  #paint(elapsedS) {
    const target = this.drive.timeS - BEHIND_S;
    this.shownS += this.drive.latest.paused || this.drive.latest.end ? 0 : elapsedS;
    this.shownS += (target - this.shownS) * Math.min(CATCH_UP_PER_S * elapsedS, 1);
    this.shownS = Math.max(Math.min(this.shownS, this.drive.timeS), 0);
    this.#follow(elapsedS);
    this.scene.paint(this.shownS);
    byId("scale-bar").style.width = `${10 * this.scene.camera.zoom}px`;
  }

  /** Behind the car and turning with it, but slowly: a picture that wobbles makes seasick. */
  #follow(elapsedS) {
    if (this.cameraMode === "free") return;
    const { camera } = this.scene;
    this.scene.follow(this.shownS, "north");
    if (this.cameraMode === "north") return;
    const wanted = Math.PI / 2 - this.drive.poseAt(0, this.shownS).yaw;
    this.turn ??= wanted;
    const off = Math.atan2(Math.sin(wanted - this.turn), Math.cos(wanted - this.turn));
    this.turn += off * Math.min(TURN_PER_S * elapsedS, 1);
    camera.turn = this.turn;
    camera.panBy(0, this.scene.size.height * AHEAD_SHARE);
  }

  // Setting up --------------------------------------------------------------------------------

  #connect() {
    const { setup } = this;
    byId("scripts").append(
      ...setup.scripts.map(({ label }, number) => {
        const key = make("kbd", {}, String(number + 1));
        const button = make("button", { type: "button" }, key, label);
        button.addEventListener("click", () => this.startScript(number));
        return button;
      }),
    );
    byId("route").append(
      ...setup.routes.map(({ id, length_m }) =>
        make("option", { value: id }, `route ${id} · ${length_m} m`),
      ),
    );
    byId("route").addEventListener("change", (event) => {
      this.tell("route", { route: event.target.value });
      event.target.blur();
    });
    for (const name of ["vehicles", "pedestrians"]) this.#connectSlider(name);
    const clicks = {
      driver: () => this.toggleDriver(),
      restart: () => this.restart(),
      again: () => this.restart(),
      next: () => this.nextRoute(),
      watch: () => this.watch(),
      finish: () => this.tell("finish"),
      pause: () => this.togglePause(),
      theme: () => this.toggleTheme(),
      "help-button": () => this.toggleHelp(),
      "help-close": () => this.toggleHelp(),
    };
    for (const [id, run] of Object.entries(clicks)) byId(id).addEventListener("click", run);
    this.keys = this.#keyTable();
    byId("keys").append(
      ...this.keys.flatMap(({ name, text }) => [make("dt", {}, name), make("dd", {}, text)]),
    );
    listen(this.keys);
    followSystemTheme(() => {});
    connectPointer(this.scene, {
      mode: () => this.cameraMode,
      free: () => (this.cameraMode = "free"),
      changed: () => {},
      clicked: () => {},
    });
  }

  #connectSlider(name) {
    const slider = byId(name);
    slider.max = this.setup[`most_${name}`];
    slider.value = this.setup[name];
    const show = () => (byId(`${name}-shown`).textContent = slider.value);
    show();
    slider.addEventListener("input", show);
    slider.addEventListener("change", () => {
      const number = (id) => Number(byId(id).value);
      this.tell("background", {
        vehicles: number("vehicles"),
        pedestrians: number("pedestrians"),
      });
      slider.blur();
    });
  }

  #keyTable() {
    const digits = this.setup.scripts.map((_, number) => String(number + 1));
    return [
      { keys: [], name: "↑ w", text: "throttle", run: () => {} },
      { keys: [], name: "↓ s", text: "brake, as the space bar", run: () => {} },
      { keys: [], name: "← a", text: "steer to the left", run: () => {} },
      { keys: [], name: "→ d", text: "steer to the right", run: () => {} },
      { keys: ["p"], name: "p", text: "give or take the wheel", run: () => this.toggleDriver() },
      ...digits.map((digit, number) => ({
        keys: [digit],
        name: digit,
        text: this.setup.scripts[number].label,
        run: () => this.startScript(number),
      })),
      { keys: ["r"], name: "r", text: "restart this route", run: () => this.restart() },
      { keys: ["n"], name: "n", text: "next route", run: () => this.nextRoute() },
      { keys: ["f"], name: "f", text: "end the drive here", run: () => this.tell("finish") },
      { keys: ["x"], name: "x", text: "pause", run: () => this.togglePause() },
      { keys: ["v"], name: "v", text: "watch the drives so far", run: () => this.watch() },
      { keys: ["c"], name: "c", text: "heading up or north up", run: () => this.nextCamera() },
      { keys: ["+", "="], name: "+", text: "zoom in", run: () => this.zoom(ZOOM) },
      { keys: ["-", "_"], name: "−", text: "zoom out", run: () => this.zoom(1 / ZOOM) },
      { keys: ["l"], name: "l", text: "labels", run: () => this.toggleLayer("labels") },
      { keys: ["t"], name: "t", text: "light or dark", run: () => this.toggleTheme() },
      { keys: ["?"], name: "?", text: "this help", run: () => this.toggleHelp() },
    ];
  }
}

window.play = new Play(); // for the browser's console
window.play.start();
