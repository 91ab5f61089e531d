// The list of drives, worst first, and its filters.

import { byId, clock, distinct, fillSelect, make } from "./dom.js";

const FILTERS = ["planner", "town", "infraction", "script"];

export class DriveList {
  /** @param {(number: number) => void} onChoose */
  constructor(episodes, onChoose) {
    this.episodes = episodes;
    this.onChoose = onChoose;
    this.rows = episodes.map((episode) => this.#row(episode));
    this.shown = episodes;
    const names = new Map(episodes.flatMap((e) => e.infractions.map((i) => [i.kind, i.name])));
    const kinds = [...names].sort((a, b) => a[1].localeCompare(b[1]));
    fillSelect(byId("filter-planner"), "all planners", pairs(episodes.map((e) => e.planner)));
    fillSelect(byId("filter-town"), "all towns", pairs(episodes.map((e) => e.town)));
    fillSelect(byId("filter-infraction"), "any outcome", [
      ["*", "with an infraction"],
      ["-", "without infraction"],
      ...kinds,
    ]);
    const scripts = episodes.flatMap((e) => e.triggers.map((trigger) => trigger.type));
    fillSelect(byId("filter-script"), "any script", pairs(scripts));
    for (const name of FILTERS) {
      const select = byId(`filter-${name}`);
      select.hidden = select.options.length < 3;
      select.addEventListener("change", () => this.filter());
    }
    byId("filter-route").addEventListener("input", () => this.filter());
    this.filter();
  }

  filter() {
    const wanted = Object.fromEntries(FILTERS.map((name) => [name, byId(`filter-${name}`).value]));
    const text = byId("filter-route").value.trim().toLowerCase();
    this.shown = this.episodes.filter(
      (episode) =>
        (!wanted.planner || episode.planner === wanted.planner) &&
        (!wanted.town || episode.town === wanted.town) &&
        hasInfraction(episode, wanted.infraction) &&
        (!wanted.script || episode.triggers.some((trigger) => trigger.type === wanted.script)) &&
        `${episode.route} ${episode.label ?? ""}`.toLowerCase().includes(text),
    );
    byId("drives").replaceChildren(...this.shown.map((episode) => this.rows[episode.number]));
    const mean = this.shown.reduce((sum, e) => sum + e.score, 0) / Math.max(this.shown.length, 1);
    byId("count").textContent = this.shown.length
      ? `${this.shown.length} of ${this.episodes.length} drives · mean score ${mean.toFixed(1)}`
      : "no drive matches: clear a filter";
  }

  /** The number of the drive `steps` further down the list, or null at its ends. */
  beside(number, steps) {
    const place = this.shown.findIndex((episode) => episode.number === number);
    return this.shown[place + steps]?.number ?? null;
  }

  mark(number, second) {
    this.rows.forEach((row, index) => {
      row.setAttribute("aria-current", index === number);
      row.classList.toggle("second", index === second);
    });
    this.rows[number].scrollIntoView({ block: "nearest" });
  }

  #row(episode) {
    const faults = countOf(episode.infractions.map((infraction) => infraction.name));
    const row = make(
      "button",
      { className: "drive", type: "button", style: { "--share": episode.score / 100 } },
      make("span", { className: "score" }, episode.score.toFixed(episode.score < 99.95 ? 1 : 0)),
      make("span", { className: "name" }, `${episode.label ?? "route"} ${episode.route}`),
      make(
        "span",
        { className: "where" },
        [episode.planner, episode.town, !episode.label && `seed ${episode.seed}`, clock(episode.duration_s)]
          .filter(Boolean)
          .join(" · "),
      ),
      make("span", { className: "faults" }, faults || "no infraction"),
    );
    row.classList.toggle("clean", !faults);
    row.addEventListener("click", () => this.onChoose(episode.number));
    return row;
  }
}

function pairs(values) {
  return distinct(values.filter(Boolean)).map((value) => [value, value]);
}

function hasInfraction(episode, wanted) {
  if (!wanted) return true;
  if (wanted === "*") return episode.infractions.length > 0;
  if (wanted === "-") return episode.infractions.length === 0;
  return episode.infractions.some((infraction) => infraction.kind === wanted);
}

/** "red light, vehicle collision × 2" */
function countOf(names) {
  const counts = new Map();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return [...counts].map(([name, n]) => (n > 1 ? `${name} ×\u00a0${n}` : name)).join(", ");
}
