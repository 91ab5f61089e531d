// Player: the moment that is shown, and how it moves on.

export const SPEEDS = [0.25, 0.5, 1, 2, 4, 8];

export class Player {
  /** @param {() => void} onChange called whenever something of it has changed */
  constructor(onChange) {
    this.onChange = onChange;
    this.timeS = 0;
    this.durationS = 0;
    this.speed = 1;
    this.isPlaying = false;
  }

  load(durationS, timeS = 0) {
    this.durationS = durationS;
    this.seek(timeS);
  }

  seek(timeS) {
    this.timeS = Math.min(Math.max(timeS, 0), this.durationS);
    this.onChange();
  }

  toggle() {
    if (!this.isPlaying && this.timeS >= this.durationS) this.timeS = 0;
    this.isPlaying = !this.isPlaying;
    this.onChange();
  }

  pause() {
    this.isPlaying = false;
    this.onChange();
  }

  /** One speed up or down. */
  changeSpeed(steps) {
    const place = SPEEDS.indexOf(this.speed) + steps;
    this.speed = SPEEDS[Math.min(Math.max(place, 0), SPEEDS.length - 1)];
    this.onChange();
  }

  /** Let so many seconds of the wall clock pass. */
  advance(elapsedS) {
    if (!this.isPlaying) return;
    this.timeS = Math.min(this.timeS + elapsedS * this.speed, this.durationS);
    if (this.timeS >= this.durationS) this.isPlaying = false;
    this.onChange();
  }
}
