/** Light, dark, or as the system has it; kept in this browser. */

import { Cell } from "./state/cell";

export type Theme = "system" | "light" | "dark";

const KEY = "jackline.theme";

function kept(): Theme {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : "system";
  } catch {
    return "system"; // storage is refused in some private windows
  }
}

export const theme = new Cell<Theme>(kept());
export const dark = new Cell(false);

const system = matchMedia("(prefers-color-scheme: dark)");

function apply(): void {
  const root = document.documentElement;
  const isDark = theme.value === "dark" || (theme.value === "system" && system.matches);
  root.dataset["theme"] = isDark ? "dark" : "light";
  dark.set(isDark);
}

export function choose(value: Theme): void {
  theme.set(value);
  try {
    if (value === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, value);
  } catch {
    // it then holds until the page is loaded again
  }
  apply();
}

system.addEventListener("change", apply);
apply();

/** A colour of the stylesheet, for what is drawn on a canvas. */
export function colour(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}
