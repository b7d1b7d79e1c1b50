/** Asks the console's API: JSON in and out, the CSRF header with everything that changes something, problems as errors. */

import { Cell } from "../state/cell";
import { exact } from "./exact";
import type { Fault, Me } from "./types";

const BASE = "/api/v1";

/** An answer from 400 on (RFC 9457), or none at all: then `status` is 0. */
export class Problem extends Error {
  readonly status: number;
  readonly type: string;
  readonly hint: string;
  readonly errors: Fault[];

  constructor(status: number, body: Record<string, unknown>) {
    super(String(body["detail"] ?? body["title"] ?? `The console answered ${status}.`));
    this.status = status;
    this.type = String(body["type"] ?? "").replace("urn:jackline:problem:", "");
    this.hint = String(body["hint"] ?? "");
    this.errors = (body["errors"] as Fault[] | undefined) ?? [];
  }
}

/** Who uses the page; null until somebody logged in. */
export const me = new Cell<Me | null>(null);

const ROLES = ["reporter", "viewer", "approver", "operator", "admin"];

/** Whether the person's role suffices. */
export function may(role: "viewer" | "approver" | "operator" | "admin"): boolean {
  return ROLES.indexOf(me.value?.role ?? "") >= ROLES.indexOf(role);
}

type Query = Record<string, string | number | null | undefined>;

/** A path under the API with its query; what is null or undefined is left out. */
export function path(route: string, query: Query = {}): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") parameters.set(name, String(value));
  }
  const text = parameters.toString();
  return `${BASE}${route}${text ? `?${text}` : ""}`;
}

/** One segment of a path: names hold slashes, spaces and worse. */
export function segment(text: string): string {
  return encodeURIComponent(text);
}

async function ask<T>(method: string, address: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  return (await (await asked(method, address, body, signal)).json()) as T;
}

async function asked(method: string, address: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json" };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (method !== "GET" && me.value?.csrf) headers["X-Jackline-CSRF"] = me.value.csrf;
  let answer: Response;
  try {
    answer = await fetch(address, {
      method,
      headers,
      credentials: "same-origin",
      cache: "no-store",
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Problem(0, { detail: "The console does not answer.", hint: "Is `jackline console` still running?" });
  }
  if (!answer.ok) throw await problem(answer);
  return answer;
}

async function problem(answer: Response): Promise<Problem> {
  let body: Record<string, unknown> = {};
  try {
    body = (await answer.json()) as Record<string, unknown>;
  } catch {
    body = { detail: `The console answered ${answer.status} ${answer.statusText}`.trim() };
  }
  const fault = new Problem(answer.status, body);
  if (answer.status === 401 && fault.type !== "login-refused") me.set(null);
  return fault;
}

export function get<T>(route: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return ask<T>("GET", path(route, query), undefined, signal);
}

/** As `get`, and the parts that `keep` takes over from the same answer with its numbers as they were written. */
export async function getExact<T>(route: string, keep: (answer: T, exact: T) => T, signal?: AbortSignal): Promise<T> {
  const text = await (await asked("GET", path(route), undefined, signal)).text();
  return keep(JSON.parse(text) as T, exact(text) as T);
}

export function post<T>(route: string, body: unknown = {}, signal?: AbortSignal): Promise<T> {
  return ask<T>("POST", path(route), body, signal);
}

export function patch<T>(route: string, body: unknown): Promise<T> {
  return ask<T>("PATCH", path(route), body);
}

/** All pages of a list, one after the other; `each` is told after every page what there is. */
export async function all<T>(
  route: string,
  query: Query,
  each: (items: T[], page: Record<string, unknown>) => void,
  signal?: AbortSignal,
): Promise<void> {
  let cursor: string | null = null;
  do {
    const page: { items: T[]; next: string | null } = await get(route, { ...query, cursor }, signal);
    each(page.items, page as unknown as Record<string, unknown>);
    cursor = page.next;
  } while (cursor);
}
