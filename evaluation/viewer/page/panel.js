// The panel on the right: what happened in the drive, what is now, who is followed, what is seen.

import { byId, clock, make } from "./dom.js";
import { Raster } from "./raster.js";
import { KINDS, shareText } from "./drive.js";

export const BEFORE_S = 2; // a click on an event shows what led to it

export class Panel {
  /** @param {(timeS: number) => void} onSeek */
  constructor(onSeek) {
    this.onSeek = onSeek;
  }

  show(drive) {
    this.drive = drive;
    const { about } = drive;
    byId("drive-title").textContent = capital(`${about.label ?? "route"} ${about.route}`);
    byId("drive-score").textContent = about.score.toFixed(1);
    byId("drive-made").replaceChildren(...(about.how_scored ? [about.how_scored] : scoreText(about)));
    for (const name of ["throttle", "brake", "steer"]) {
      byId(name).parentElement.hidden = drive.driver(name) === undefined;
    }
    byId("limit").hidden = drive.driver("speed_limit_mps") === undefined;
    this.#facts(about);
    byId("infractions").replaceChildren(
      ...drive.infractions.map((infraction) => this.#infraction(infraction)),
    );
    byId("infractions-none").hidden = drive.infractions.length > 0;
    byId("scripts").replaceChildren(...drive.triggers.map((trigger) => this.#script(trigger)));
    byId("scripts-box").hidden = drive.triggers.length === 0;
    this.raster = drive.about.raster ? new Raster(drive) : null;
    this.returns = drive.driver("reward") && runningSum(drive.driver("reward"));
  }

  #facts(about) {
    const facts = {
      planner: about.planner,
      town: about.town,
      seed: about.label ? undefined : about.seed, // what has a label of its own happens but once
      length: about.length_m && `${about.length_m.toFixed(0)} m`,
      time: clock(this.drive.durationS),
      end: about.end,
      ...about.facts,
    };
    byId("facts").replaceChildren(
      ...Object.entries(facts)
        .filter(([, value]) => value !== undefined && value !== null && value !== "")
        .flatMap(([name, value]) => [make("dt", {}, name), make("dd", {}, String(value))]),
    );
  }

  #infraction(infraction) {
    const other = infraction.other ? ` (${infraction.other})` : "";
    const factor = infraction.factor < 1 ? `× ${infraction.factor.toFixed(2)}` : "";
    const button = make(
      "button",
      { className: "event fault", type: "button" },
      make("time", {}, clock(infraction.time_s)),
      make("span", {}, `${infraction.name}${shareText(infraction)}${other}`),
      make("b", {}, factor),
    );
    button.title = `Show ${BEFORE_S} seconds before`;
    button.addEventListener("click", () => this.onSeek(infraction.time_s - BEFORE_S));
    return button;
  }

  #script(trigger) {
    const started = trigger.started_s !== null;
    const button = make(
      "button",
      { className: "event", type: "button", disabled: !started },
      make("time", {}, started ? clock(trigger.started_s) : "–"),
      make("span", {}, spaced(trigger.type)),
      make("b", {}, started ? "" : "not begun"),
    );
    button.title = trigger.name;
    button.addEventListener("click", () => this.onSeek(trigger.started_s - BEFORE_S));
    return button;
  }

  /** Bring all numbers to a moment. */
  update(timeS, followed, showsSeen) {
    const { drive } = this;
    const step = drive.stepAt(timeS);
    const number = (name) => drive.driver(name)?.[step];
    const speed = number("speed_mps") ?? drive.poseAt(0, timeS).speed;
    byId("speed").textContent = speed.toFixed(1);
    const limit = number("speed_limit_mps");
    byId("limit").textContent = limit ? (3.6 * limit).toFixed(0) : "–";
    byId("speed-kmh").textContent = `m/s · ${(3.6 * speed).toFixed(0)} km/h`;
    bar("throttle", number("throttle"));
    bar("brake", number("brake"));
    bar("route-share", (number("route_percent") ?? 0) / 100);
    const steer = number("steer") ?? 0;
    byId("steer").style.setProperty("--from", 50 - 50 * Math.max(steer, 0));
    byId("steer").style.setProperty("--wide", 50 * Math.abs(steer));
    const known = { return: this.returns?.[step], value: number("value") };
    byId("reward-now").textContent = Object.entries(known)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name} ${value.toFixed(2)}`)
      .join(" · ");
    this.#followed(timeS, followed);
    const seen = showsSeen && drive.about.seen.length > 0;
    const raster = showsSeen && this.raster !== null;
    byId("seen-box").hidden = !seen;
    byId("raster-box").hidden = !raster;
    if (seen) this.#seen(step);
    else byId("seen").replaceChildren();
    if (raster) this.raster.show(step);
  }

  #followed(timeS, track) {
    const box = byId("followed-box");
    box.hidden = track === 0;
    if (track === 0) return;
    const { drive } = this;
    const pose = drive.poseAt(track, timeS);
    const ego = drive.poseAt(0, timeS);
    const what = `${KINDS[drive.kind[track]]} ${drive.id[track]}`;
    byId("followed").textContent = pose
      ? `${what}: ${pose.speed.toFixed(1)} m/s, ` +
        `${Math.hypot(pose.x - ego.x, pose.y - ego.y).toFixed(1)} m from the ego`
      : `${what} is not here at this moment`;
  }

  #seen(step) {
    const rows = [...this.drive.seenAt(step)].filter(([name]) => !/^(actor|vehicle|pedestrian|static)_\d/.test(name));
    byId("seen").replaceChildren(
      ...rows.flatMap(([name, value]) => [
        make("dt", {}, spaced(name)),
        make("dd", {}, value.toFixed(2)),
      ]),
    );
  }
}

function bar(id, share) {
  byId(id).style.setProperty("--share", share ?? 0);
}

function scoreText(about) {
  return [
    make("span", {}, `${about.completion.toFixed(1)} % of the route`),
    make("span", {}, `× ${about.infraction_score.toFixed(3)} for infractions`),
  ];
}

function capital(text) {
  return text[0].toUpperCase() + text.slice(1);
}

function runningSum(values) {
  let sum = 0;
  return values.map((value) => (sum += value));
}

/** "DynamicObjectCrossing" and "route_2m_left" as words. */
export function spaced(name) {
  return name.replaceAll("_", " ").replace(/([a-z])([A-Z])/g, "$1 $2").toLowerCase();
}
