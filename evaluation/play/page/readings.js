// Readings: score, controls, reward terms and infractions beside the scene, and how it ended.

import { byId, clock, make } from "./dom.js";
import { shareText } from "./drive.js";

const SUMMANDS = ["progress", "terminal"]; // reward terms that are no factors in [0, 1]
const WHOLE = 0.985; // a factor below it is shown as lost
const STATES = { waits: "ahead", acts: "now", over: "over" };

export class Readings {
  constructor(setup) {
    this.setup = setup;
  }

  begin(message) {
    byId("where").textContent = `${message.town}, route ${message.route}, seed ${message.seed}`;
    byId("route").value = message.route;
    byId("terms").replaceChildren();
    this.terms = new Map();
  }

  show(drive) {
    const { latest } = drive;
    const ego = latest.actors.get(0);
    byId("speed").textContent = (3.6 * ego[drive.column.speed_mps]).toFixed(0);
    byId("limit").textContent = latest.limit_mps ? (3.6 * latest.limit_mps).toFixed(0) : "–";
    byId("score").textContent = latest.score.toFixed(1);
    byId("made").textContent = `${latest.route_percent.toFixed(1)} % × ${latest.penalty.toFixed(2)}`;
    share("route-share", latest.route_percent / 100);
    share("throttle", latest.throttle);
    share("brake", latest.brake);
    byId("steer").style.setProperty("--from", 50 - 50 * Math.max(latest.steer, 0));
    byId("steer").style.setProperty("--wide", 50 * Math.abs(latest.steer));
    byId("pause").textContent = latest.paused ? "go on" : "pause";
    const load = (100 * latest.load).toFixed(0);
    byId("load").textContent = `${(1 / drive.stepS).toFixed(0)} Hz · a step takes ${load} % of its time`;
    this.#showDriver(latest.driver);
    this.#showTerms(latest);
    this.#showInfractions(latest.infractions);
    this.#showScripts(latest.scripts);
    this.#showEnd(drive);
  }

  #showDriver(driver) {
    const button = byId("driver");
    if (button.dataset.driver === driver) return;
    button.dataset.driver = driver;
    button.textContent = driver === "person" ? "you drive" : `${this.setup.planner} drives`;
  }

  #showTerms({ terms, return: total }) {
    for (const [name, value] of Object.entries(terms)) {
      if (!this.terms.has(name)) this.#addTerm(name);
      const { row, reading } = this.terms.get(name);
      if (SUMMANDS.includes(name)) reading.textContent = value.toFixed(3);
      else {
        reading.style.setProperty("--share", Math.min(Math.max(value, 0), 1));
        row.classList.toggle("lost", value < WHOLE);
      }
    }
    byId("return").textContent = `return ${total.toFixed(2)}`;
  }

  #addTerm(name) {
    const reading = make("i", { className: SUMMANDS.includes(name) ? "number" : "bar" });
    const row = make("div", { className: "gauge" }, name.replaceAll("_", " "), reading);
    this.terms.set(name, { row, reading });
    byId("terms").append(row);
  }

  #showInfractions(infractions) {
    if (byId("infractions").childElementCount === infractions.length) return;
    byId("infractions").replaceChildren(...infractions.map(faultRow));
    byId("infractions-none").hidden = infractions.length > 0;
  }

  #showScripts(scripts) {
    const text = JSON.stringify(scripts);
    if (text === this.scripts) return;
    this.scripts = text;
    byId("happened-none").hidden = scripts.length > 0;
    byId("happened").replaceChildren(
      ...scripts.map(({ label, state }) =>
        make("p", {}, make("span", {}, label), make("span", { className: state }, STATES[state])),
      ),
    );
  }

  #showEnd({ latest }) {
    const over = byId("over");
    if (over.hidden === (latest.end === null)) return;
    over.hidden = latest.end === null;
    if (over.hidden) return;
    byId("over-why").textContent = latest.end;
    byId("over-score").textContent = latest.score.toFixed(1);
    byId("over-made").textContent =
      `${latest.route_percent.toFixed(1)} % of the route × ${latest.penalty.toFixed(3)}`;
    byId("over-faults").replaceChildren(...latest.infractions.map(faultRow));
  }
}

function share(id, value) {
  byId(id).style.setProperty("--share", value);
}

function faultRow(infraction) {
  const factor = infraction.factor < 1 ? `× ${infraction.factor.toFixed(2)}` : "";
  return make(
    "div",
    { className: "event fault" },
    make("time", {}, clock(infraction.time_s)),
    make("span", {}, `${infraction.name}${shareText(infraction)}`),
    make("b", {}, factor),
  );
}
