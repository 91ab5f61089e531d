// The viewer's keys: what each does, and the words of the help.

import { ZOOM } from "./keyboard.js";

const SEEK_S = 1;

/** Keys of the page; `app` is the App. */
export function keyTable(app) {
  const seek = (seconds) => () => app.seek(app.player.timeS + seconds);
  const step = (steps) => () => {
    app.player.pause();
    app.seek(app.player.timeS + steps * app.drive.stepS);
  };
  return [
    { keys: [" "], name: "space", text: "play or pause", run: () => app.player.toggle() },
    { keys: ["ArrowLeft"], name: "←", text: "one second back", run: seek(-SEEK_S) },
    { keys: ["ArrowRight"], name: "→", text: "one second on", run: seek(SEEK_S) },
    { keys: [","], name: ",", text: "one step back", run: step(-1) },
    { keys: ["."], name: ".", text: "one step on", run: step(1) },
    { keys: ["Home"], name: "Home", text: "to the start", run: () => app.seek(0) },
    { keys: ["End"], name: "End", text: "to the end", run: () => app.seek(Infinity) },
    { keys: ["i"], name: "i", text: "2 s before the next infraction", run: () => app.nextEvent(1) },
    { keys: ["I"], name: "I", text: "… the one before", run: () => app.nextEvent(-1) },
    { keys: ["ArrowDown", "<"], name: "↓", text: "slower", run: () => app.player.changeSpeed(-1) },
    { keys: ["ArrowUp", ">"], name: "↑", text: "faster", run: () => app.player.changeSpeed(1) },
    { keys: ["+", "="], name: "+", text: "zoom in", run: () => app.zoom(ZOOM) },
    { keys: ["-", "_"], name: "−", text: "zoom out", run: () => app.zoom(1 / ZOOM) },
    { keys: ["n"], name: "n", text: "next drive of the list", run: () => app.openBeside(1) },
    { keys: ["p"], name: "p", text: "previous drive", run: () => app.openBeside(-1) },
    { keys: ["c"], name: "c", text: "camera: north up, heading up, free", run: () => app.nextCamera() },
    { keys: ["e"], name: "e", text: "follow the ego again", run: () => app.followEgo() },
    { keys: ["l"], name: "l", text: "labels on or off", run: () => app.toggleLayer("labels") },
    { keys: ["v"], name: "v", text: "what the policy sees", run: () => app.toggleLayer("seen") },
    { keys: ["t"], name: "t", text: "light or dark", run: () => app.toggleTheme() },
    { keys: ["?"], name: "?", text: "this help", run: () => app.toggleHelp() },
  ];
}
