// Light or dark: what the machine says until somebody chooses, which the browser then keeps.
import { byId } from "./element.js";

const KEPT = "simcrop-theme";
const machine = matchMedia("(prefers-color-scheme: dark)");

export function startTheme() {
  machine.addEventListener("change", show);
  show();
}

const theme = () => localStorage.getItem(KEPT) ?? (machine.matches ? "dark" : "light");

export function switchTheme() {
  localStorage.setItem(KEPT, theme() === "dark" ? "light" : "dark");
  show();
}

function show() {
  document.documentElement.dataset.theme = theme();
  byId("theme").textContent = theme() === "dark" ? "Light" : "Dark";
}
