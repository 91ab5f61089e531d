// Small helpers for elements; texts are always set as text, never as HTML.

/** The element with an id. */
export const byId = (id) => document.getElementById(id);

/**
 * A new element.
 * @param {string} tag
 * @param {object} properties of the element; `data` holds data attributes, `style` CSS variables
 * @param {...(Node|string)} children
 */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  const { data = {}, style = {}, ...rest } = properties;
  Object.assign(element, rest);
  Object.assign(element.dataset, data);
  for (const [name, value] of Object.entries(style)) element.style.setProperty(name, value);
  element.append(...children);
  return element;
}

/** Fill a select with options; the first stands for all. */
export function fillSelect(select, all, values) {
  select.replaceChildren(
    make("option", { value: "" }, all),
    ...values.map(([value, text]) => make("option", { value }, text)),
  );
}

/** Distinct values, sorted as people count: route 2 before route 10. */
export function distinct(values) {
  return [...new Set(values)].sort((a, b) => a.localeCompare(b, "en", { numeric: true }));
}

export function clock(timeS) {
  const minutes = Math.floor(timeS / 60);
  const seconds = (timeS - 60 * minutes).toFixed(1).padStart(4, "0");
  return `${minutes}:${seconds}`;
}
