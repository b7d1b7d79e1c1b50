/** Anything thrown, as what the page shows. */

import { Problem } from "../api/client";

export function asProblem(error: unknown): Problem {
  if (error instanceof Problem) return error;
  return new Problem(0, { detail: error instanceof Error ? error.message : String(error) });
}
