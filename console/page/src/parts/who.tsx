/** Governed, or only reported: the same choice on every page that lists either. */

import { amend, place } from "../router";
import { useCell } from "../state/cell";

export type Who = "governed" | "reported" | "";

export function who(query: URLSearchParams): Who {
  const said = query.get("who");
  return said === "governed" || said === "reported" ? said : "";
}

export function WhoSelect() {
  const at = who(useCell(place).query);
  return (
    <select aria-label="Governed or reported" value={at} onChange={(event) => amend({ who: event.currentTarget.value })}>
      <option value="">Governed and reported</option>
      <option value="governed">Only governed</option>
      <option value="reported">Only reported</option>
    </select>
  );
}
