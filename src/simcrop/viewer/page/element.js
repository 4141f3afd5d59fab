// Elements of the page, made and found. No axes or units.

/** The element with this id, which the page has. */
export const byId = (id) => document.getElementById(id);

/**
 * A new element. `facts`: properties; `on…` listens, `data`, `aria` and `style` hold more names; text is
 * never parsed as HTML.
 */
export function element(tag, facts = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(facts)) {
    if (value === undefined || value === null) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "aria")
      for (const [key, says] of Object.entries(value)) made.setAttribute(`aria-${key}`, says);
    else if (name === "style")
      for (const [key, says] of Object.entries(value)) made.style.setProperty(key, says);
    else if (name in made) made[name] = value;
    else made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** A drawing of 24 units a side made of paths, each [path, class]. */
export function drawing(...paths) {
  const made = document.createElementNS(SVG, "svg");
  made.setAttribute("viewBox", "0 0 24 24");
  made.setAttribute("aria-hidden", "true");
  for (const [way, name = ""] of paths) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", way);
    path.setAttribute("class", name);
    made.append(path);
  }
  return made;
}

/** A row of radio buttons that look like one control. `options`: [value, words, title]. */
export function choice(fieldset, name, options, chosen, onchange) {
  for (const [value, words, title] of options) {
    const input = element("input", {
      type: "radio",
      name,
      value,
      id: `${name}-${value}`,
      checked: value === chosen,
    });
    input.addEventListener("change", () => onchange(value));
    fieldset.append(input, element("label", { htmlFor: input.id, title, textContent: words }));
  }
  return (value) => {
    for (const input of fieldset.querySelectorAll("input")) input.checked = input.value === value;
  };
}

/** A similarity in two digits, zero without a sign. */
export const twoDigits = (value) => (Math.round(value * 100) / 100 + 0).toFixed(2);

let clears = 0;

/** One line at the foot of the page that goes away again, read aloud by screen readers. */
export function say(words, { problem = false } = {}) {
  const line = byId("says");
  line.textContent = words;
  line.classList.toggle("problem", problem);
  line.classList.add("shown");
  clearTimeout(clears);
  clears = setTimeout(() => line.classList.remove("shown"), problem ? 9000 : 3500);
}
