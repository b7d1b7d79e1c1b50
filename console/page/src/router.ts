/** Where the page is: a path and a query that can be sent to somebody else. */

import { Cell } from "./state/cell";

export interface Place {
  path: string;
  query: URLSearchParams;
}

function here(): Place {
  return { path: location.pathname, query: new URLSearchParams(location.search) };
}

export const place = new Cell<Place>(here());

addEventListener("popstate", () => place.set(here()));

/** Go to a path of this page; `replace` leaves no step back. */
export function go(address: string, replace = false): void {
  if (address === location.pathname + location.search) return;
  if (replace) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
  place.set(here());
  if (!replace) scrollTo(0, 0);
}

/** Change parameters of the query in place; null takes one away. */
export function amend(change: Record<string, string | null>): void {
  const query = new URLSearchParams(location.search);
  for (const [name, value] of Object.entries(change)) {
    if (value === null || value === "") query.delete(name);
    else query.set(name, value);
  }
  const text = query.toString();
  go(location.pathname + (text ? `?${text}` : ""), true);
}

/** Links within the page do not load it anew; with a modifier they do what the browser does. */
export function follow(event: MouseEvent): void {
  const link = (event.target as Element | null)?.closest?.("a");
  if (!link || event.defaultPrevented || event.button !== 0) return;
  if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
  if (link.target || link.origin !== location.origin || link.hasAttribute("download")) return;
  if (link.pathname.startsWith("/api/")) return;
  event.preventDefault();
  go(link.pathname + link.search);
}

/** The parts of a path: `/sessions/4f%2F1` -> ["sessions", "4f/1"]. Text that is not percent-encoded right stays as it is. */
export function parts(path: string): string[] {
  return path
    .split("/")
    .filter((part) => part)
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
}

export function sessionPath(session: string, span?: string): string {
  return `/sessions/${encodeURIComponent(session)}${span ? `?span=${encodeURIComponent(span)}` : ""}`;
}

export function agentPath(name: string): string {
  return `/agents/${encodeURIComponent(name)}`;
}
