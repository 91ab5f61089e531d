// Colours come from the style sheet, so that light and dark are told apart in one place.
// Everything that carries meaning is from the colour-blind safe set of Okabe and Ito (2008).

const NAMES = [
  "ground", "sidewalk", "shoulder", "parking", "road", "crosswalk", "marking", "centre",
  "ego", "car", "large", "two-wheeler", "pedestrian", "prop", "glass", "outline",
  "route", "plan", "seen", "red", "yellow", "green", "brake", "blinker", "script",
  "ink", "muted", "line", "panel", "accent", "second",
];

let current = null;

/** The colours of the theme in use, by name. */
export function palette() {
  if (current === null) {
    const style = getComputedStyle(document.documentElement);
    current = Object.fromEntries(
      NAMES.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
  }
  return current;
}

const system = matchMedia("(prefers-color-scheme: dark)");

/** Show "light" or "dark". */
export function chooseTheme(theme) {
  document.documentElement.dataset.theme = theme;
  current = null;
}

export const isDark = () => document.documentElement.dataset.theme === "dark";

/** Begin with the system's theme and go with it when it changes. */
export function followSystemTheme(onChange) {
  const follow = () => chooseTheme(system.matches ? "dark" : "light");
  follow();
  system.addEventListener("change", () => {
    follow();
    onChange();
  });
}
