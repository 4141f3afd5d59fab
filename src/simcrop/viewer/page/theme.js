// Light or dark: what the machine says until somebody chooses, which the browser then keeps.
import { byId } from "./element.js";

const KEPT = "simcrop-theme";
const machine = matchMedia("(prefers-color-scheme: dark)");

export function startTheme() {
  machine.addEventListener("change", show);
  show();
}

let chosen = null; // in this window; a browser that keeps nothing for pages refuses both of these calls

const theme = () => chosen ?? kept() ?? (machine.matches ? "dark" : "light");

function kept() {
  try {
    return localStorage.getItem(KEPT);
  } catch {
    return null;
  }
}

export function switchTheme() {
  chosen = theme() === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEPT, chosen);
  } catch {
    // it is forgotten with the window
  }
  show();
}

function show() {
  document.documentElement.dataset.theme = theme();
  byId("theme").textContent = theme() === "dark" ? "Light" : "Dark";
}
