// The page: ties list, scenes, charts, panel and player together.

import { Charts } from "./charts.js";
import { byId, clock, make } from "./dom.js";
import { listen } from "./keyboard.js";
import { keyTable } from "./keys.js";
import { DriveList } from "./list.js";
import { chooseTheme, followSystemTheme, isDark } from "./palette.js";
import { BEFORE_S, Panel } from "./panel.js";
import { Player, SPEEDS } from "./player.js";
import { connectPointer } from "./pointer.js";
import { Scene } from "./scene.js";
import { Store } from "./store.js";

const CAMERAS = { north: "follow, north up", heading: "follow, heading up", free: "free" };
const LAYERS = ["route", "trail", "lights", "boxes", "scripts", "seen", "plan", "labels"];
const SHOWN_AT_FIRST = ["route", "trail", "lights", "boxes", "scripts", "plan"];

class App {
  constructor() {
    this.store = new Store();
    this.layers = Object.fromEntries(LAYERS.map((name) => [name, SHOWN_AT_FIRST.includes(name)]));
    this.scenes = [new Scene(byId("scene"), this.layers), new Scene(byId("scene-2"), this.layers)];
    this.scenes[1].camera = this.scenes[0].camera;
    this.cameraMode = "north";
    this.player = new Player(() => (this.stale = true));
    this.charts = new Charts(byId("charts"), (timeS) => this.seek(timeS));
    this.panel = new Panel((timeS) => this.seek(timeS));
    this.list = new DriveList(this.store.episodes, (number) => this.open(number));
    this.keys = keyTable(this);
    byId("title").textContent = this.store.index.title;
    document.title = this.store.index.title;
    byId("world").textContent = this.store.index.note;
    this.#connect();
    this.#openFirst();
    let last = performance.now();
    const frame = (now) => {
      this.player.advance((now - last) / 1000);
      last = now;
      if (this.stale) this.#paint();
      requestAnimationFrame(frame);
    };
    requestAnimationFrame(frame);
  }

  get drive() {
    return this.scenes[0].drive;
  }

  // What keys and buttons do ------------------------------------------------------------------

  /** Show a drive from `timeS` on. */
  async open(number, timeS = 0) {
    this.player.pause();
    this.number = number;
    this.#say("loading …");
    try {
      const drive = await this.store.drive(number);
      const town = await this.store.town(this.store.episodes[number].town_data);
      if (this.number !== number) return; // another was asked for meanwhile
      this.scenes[0].show(drive, town);
      this.#closeSecond();
      this.#offerSeconds(number);
      this.panel.show(drive);
      this.list.mark(number, null);
      this.charts.show(drive, null);
      this.#markTimeline(drive);
      byId("toggle-seen").hidden = drive.about.seen.length === 0 && !drive.about.raster;
      byId("toggle-plan").hidden = drive.planAt(0) === null;
      byId("toggle-scripts").hidden = drive.triggers.length === 0;
      if (this.cameraMode === "free") this.setCamera("north");
      this.player.load(drive.durationS, timeS);
      this.#say("");
    } catch (error) {
      this.#say(error.message);
      throw error;
    }
  }

  /** Put another drive beside this one; "" takes it away. */
  async openSecond(value) {
    if (value === "") {
      this.#closeSecond();
      return;
    }
    const number = Number(value);
    const drive = await this.store.drive(number);
    this.scenes[1].show(drive, await this.store.town(this.store.episodes[number].town_data));
    byId("pane-2").hidden = false;
    byId("scenes").classList.add("two");
    byId("second-title").textContent = titleOf(this.store.episodes[number]);
    byId("first-title").textContent = titleOf(this.store.episodes[this.number]);
    this.charts.show(this.drive, drive);
    this.list.mark(this.number, number);
    this.stale = true;
  }

  openBeside(steps) {
    const number = this.list.beside(this.number, steps);
    if (number !== null) this.open(number);
  }

  seek(timeS) {
    if (this.drive) this.player.seek(timeS);
  }

  /** To BEFORE_S before the next infraction, or the one before this moment. */
  nextEvent(direction) {
    const moments = this.drive.infractions.map((i) => Math.max(i.time_s - BEFORE_S, 0));
    const now = this.player.timeS;
    const target =
      direction > 0
        ? moments.find((moment) => moment > now + 0.05)
        : moments.findLast((moment) => moment < now - 0.05);
    if (target !== undefined) this.seek(target);
  }

  zoom(factor) {
    this.scenes[0].camera.zoomBy(factor);
    this.stale = true;
  }

  setCamera(mode) {
    this.cameraMode = mode;
    byId("camera").value = mode;
    if (mode !== "heading") this.scenes[0].camera.turn = 0;
    this.stale = true;
  }

  nextCamera() {
    const modes = Object.keys(CAMERAS);
    this.setCamera(modes[(modes.indexOf(this.cameraMode) + 1) % modes.length]);
  }

  followEgo() {
    this.follow(0);
    this.setCamera(this.cameraMode === "free" ? "north" : this.cameraMode);
  }

  follow(track) {
    this.scenes[0].followed = track;
    if (this.cameraMode === "free") this.setCamera("north");
    this.stale = true;
  }

  toggleLayer(name) {
    this.layers[name] = !this.layers[name];
    byId(`toggle-${name}`).setAttribute("aria-pressed", this.layers[name]);
    this.stale = true;
  }

  toggleTheme() {
    chooseTheme(isDark() ? "light" : "dark");
    this.#repaintAll();
  }

  toggleHelp() {
    const help = byId("help");
    if (help.open) help.close();
    else help.showModal();
  }

  // Painting ----------------------------------------------------------------------------------

  #paint() {
    if (!this.drive) return;
    this.stale = false;
    const { timeS, durationS, speed, isPlaying } = this.player;
    const [first, second] = this.scenes;
    first.follow(timeS, this.cameraMode);
    first.paint(timeS);
    if (second.drive) this.#paintSecond(second, timeS);
    this.charts.paint(timeS);
    this.panel.update(timeS, first.followed, this.layers.seen);
    byId("time").textContent = `${clock(timeS)} / ${clock(durationS)}`;
    byId("play").textContent = isPlaying ? "❚❚" : "▶";
    byId("play").setAttribute("aria-label", isPlaying ? "pause" : "play");
    byId("speed-choice").value = String(speed);
    const timeline = byId("timeline");
    timeline.max = durationS;
    timeline.value = timeS;
    byId("scale-bar").style.width = `${10 * first.camera.zoom}px`;
  }

  /** The second drive at the same moment, or at the same place of the route, around its own ego. */
  #paintSecond(scene, timeS) {
    const byPlace = byId("sync").value === "place";
    const passed = this.drive.driver("route_percent");
    const theirs =
      byPlace && passed ? scene.drive.timeAtPercent(passed[this.drive.stepAt(timeS)]) : timeS;
    const own = Math.min(theirs, scene.drive.durationS);
    const { x, y, turn } = scene.camera;
    scene.follow(own, this.cameraMode);
    scene.paint(own);
    Object.assign(scene.camera, { x, y, turn });
  }

  #repaintAll() {
    this.charts.stale = this.stale = true;
  }

  #say(text) {
    byId("message").textContent = text;
    byId("message").hidden = text === "";
  }

  // Setting up --------------------------------------------------------------------------------

  #openFirst() {
    const wanted = decodeURIComponent(location.hash.slice(1)); // "#planner/route/seed@seconds"
    const [name, timeS] = wanted.split("@");
    const found = this.store.episodes.find((episode) => episode.name === name);
    const first = found ?? this.list.shown[0];
    if (first) this.open(first.number, Number(timeS ?? 0) || 0);
  }

  #closeSecond() {
    this.scenes[1].drive = null;
    byId("pane-2").hidden = true;
    byId("scenes").classList.remove("two");
    byId("compare").value = "";
    this.charts.show(this.drive, null);
    if (this.number !== undefined) this.list.mark(this.number, null);
    this.stale = true;
  }

  /** Other drives of the same route, those with the same seed first. */
  #offerSeconds(number) {
    const here = this.store.episodes[number];
    const others = this.store.episodes
      .filter((e) => e.number !== number && e.route === here.route && e.town === here.town)
      .sort((a, b) => (b.seed === here.seed) - (a.seed === here.seed));
    byId("compare").replaceChildren(
      make("option", { value: "" }, "beside: nothing"),
      ...others.map((e) => make("option", { value: String(e.number) }, `beside: ${titleOf(e)}`)),
    );
    byId("compare").hidden = others.length === 0;
  }

  #markTimeline(drive) {
    const mark = (timeS, className, title) => {
      const share = Math.min(Math.max(timeS / drive.durationS, 0), 1);
      return make("i", { className, title, style: { "--share": share } });
    };
    byId("marks").replaceChildren(
      ...drive.triggers
        .filter((trigger) => trigger.started_s !== null)
        .map((trigger) => mark(trigger.started_s, "script", trigger.type)),
      ...drive.infractions.map((i) => mark(i.time_s, "fault", i.name)),
    );
  }

  #connect() {
    byId("play").addEventListener("click", () => this.player.toggle());
    byId("timeline").addEventListener("input", (event) => this.seek(Number(event.target.value)));
    byId("speed-choice").append(
      ...SPEEDS.map((speed) => make("option", { value: String(speed) }, `${speed} ×`)),
    );
    byId("speed-choice").addEventListener("change", (event) => {
      this.player.speed = Number(event.target.value);
      event.target.blur();
    });
    byId("camera").append(
      ...Object.entries(CAMERAS).map(([value, text]) => make("option", { value }, text)),
    );
    byId("camera").addEventListener("change", (event) => {
      this.setCamera(event.target.value);
      event.target.blur();
    });
    byId("compare").addEventListener("change", (event) => {
      this.openSecond(event.target.value);
      event.target.blur();
    });
    byId("sync").addEventListener("change", () => (this.stale = true));
    for (const name of LAYERS) {
      byId(`toggle-${name}`).setAttribute("aria-pressed", this.layers[name]);
      byId(`toggle-${name}`).addEventListener("click", () => this.toggleLayer(name));
    }
    byId("theme").addEventListener("click", () => this.toggleTheme());
    byId("help-button").addEventListener("click", () => this.toggleHelp());
    byId("help-close").addEventListener("click", () => this.toggleHelp());
    byId("follow-ego").addEventListener("click", () => this.followEgo());
    byId("keys").append(
      ...this.keys.flatMap(({ name, text }) => [make("dt", {}, name), make("dd", {}, text)]),
    );
    listen(this.keys);
    for (const scene of this.scenes) this.#connectScene(scene);
    followSystemTheme(() => this.#repaintAll());
    new ResizeObserver(() => this.#repaintAll()).observe(byId("stage"));
  }

  #connectScene(scene) {
    connectPointer(scene, {
      mode: () => this.cameraMode,
      free: () => this.setCamera("free"),
      changed: () => (this.stale = true),
      clicked: (point) => {
        if (scene !== this.scenes[0]) return;
        const track = scene.trackAt(point, this.player.timeS);
        if (track !== null) this.follow(track);
      },
    });
  }
}

function titleOf(episode) {
  return `${episode.planner}, seed ${episode.seed}: ${episode.score.toFixed(1)}`;
}

window.viewer = new App(); // for the browser's console
