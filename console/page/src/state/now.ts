/** The time, told once a second: ages and countdowns follow it. */

import { Cell } from "./cell";

/** Unix seconds. The console's clock and the browser's may differ: `at` of its answers sets the difference. */
export const now = new Cell(Date.now() / 1000);

let difference = 0;

/** The console said that it is `at` there. */
export function heard(at: number): void {
  difference = at - Date.now() / 1000;
}

export function present(): number {
  return Date.now() / 1000 + difference;
}

setInterval(() => now.set(present()), 1000);
