// The keyboard: runs what a table says of a key.

export const ZOOM = 1.25; // of a key that zooms

/**
 * Listen; keys typed into fields stay there.
 * @param {{keys: string[], run: () => void}[]} table
 */
export function listen(table) {
  const byKey = new Map(table.flatMap((entry) => entry.keys.map((key) => [key, entry])));
  addEventListener("keydown", (event) => {
    const entry = byKey.get(event.key);
    if (!entry || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches("input[type=search], select, dialog *")) return;
    if (event.key === " " && event.target.matches("button, input")) event.target.blur();
    event.preventDefault();
    entry.run();
  });
}
