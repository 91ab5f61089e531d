// Store: the drives of the page, read when they are looked at.
//
// Small pages carry their data in the page itself; large ones in script files beside it, because a
// browser lets a page from a disk read no other file.

import { Drive } from "./drive.js";
import { Town } from "./town.js";

const KEPT_DRIVES = 8;

export class Store {
  constructor() {
    this.index = JSON.parse(document.getElementById("index").textContent);
    this.episodes = this.index.episodes; // worst first
    this.episodes.forEach((episode, number) => (episode.number = number));
    this.drives = new Map(); // number -> Promise<Drive>, the latest last
    this.towns = new Map();
    this.waiting = new Map(); // name -> resolve
    window.viewerReceive = (name, base64) => this.waiting.get(name)?.(base64);
  }

  /** @returns {Promise<Drive>} */
  drive(number) {
    const kept = this.drives.get(number);
    this.drives.delete(number);
    const drive = kept ?? this.#data(this.episodes[number].data).then(Drive.read);
    drive.catch(() => this.drives.delete(number));
    this.drives.set(number, drive);
    if (this.drives.size > KEPT_DRIVES) this.drives.delete(this.drives.keys().next().value);
    return drive;
  }

  /** @returns {Promise<Town>} */
  town(key) {
    if (!this.towns.has(key)) this.towns.set(key, this.#data(this.index.towns[key]).then(Town.read));
    return this.towns.get(key);
  }

  /** The text of an element of this page, or what a script file hands over. */
  #data(name) {
    const element = document.getElementById(name);
    if (element) return Promise.resolve(element.textContent);
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      const done = (settle) => (value) => {
        this.waiting.delete(name);
        script.remove();
        settle(value);
      };
      this.waiting.set(name, done(resolve));
      script.onerror = () =>
        done(reject)(
          new Error(`${this.index.folder}/${name}.js is missing: keep the folder beside the page`),
        );
      script.src = `${this.index.folder}/${name}.js`;
      document.head.append(script);
    });
  }
}
