// Jackline's Decision API from TypeScript: `fetch` and nothing else. Whatever is no clear yes is a no.

export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export type Args = { [name: string]: Json };

export interface Answer {
  effect: "allow" | "modify" | "escalate" | "deny" | "halt";
  permitted: boolean;
  session: string;
  span: string;
  decision?: string;
  pending?: boolean;
  reason?: string;
  policy?: string;
  rule?: string;
  args?: Args;
  result?: Json;
  limits?: { max_tokens?: number };
  approvals?: string[];
  judge_return?: boolean;
  expires?: number;
}

export interface Usage {
  input?: number;
  output?: number;
  cache_read?: number;
  cache_write?: number;
  reasoning?: number;
}

/** An act that was not done, and why. `unreachable`: nobody decided, which is a no as well. */
export class Refused extends Error {
  readonly effect: string;
  readonly answer: Answer | null;

  constructor(effect: string, reason: string, answer: Answer | null = null) {
    super(`${effect}: ${reason}`);
    this.name = "Refused";
    this.effect = effect;
    this.answer = answer;
  }

  /** The session has ended: nothing of it may be tried again. */
  get halted(): boolean {
    return this.effect === "halt";
  }

  /** People were asked: the same call may be made again, under the same `callId`. */
  get pending(): boolean {
    return this.answer?.pending === true;
  }
}

export interface Options {
  url: string;
  token: string;
  session: string;
  run?: string;
  user?: string;
  labels?: { [name: string]: string };
  /** Milliseconds that an answer may take; later is a refusal. */
  timeoutMs?: number;
}

export class Jackline {
  private readonly options: Options;
  private halt: Refused | null = null;

  constructor(options: Options) {
    this.options = options;
  }

  /** Run a tool's body if it is permitted, with the arguments and the result as policies want them. Throws `Refused`. */
  async tool<T extends Json>(
    name: string,
    args: Args,
    body: (args: Args) => Promise<T> | T,
    more: { callId?: string; readOnly?: boolean; leaseS?: number } = {},
  ): Promise<T> {
    const answer = await this.check({
      action: "tool.call",
      resource: name,
      args,
      call_id: more.callId ?? "",
      lease_s: more.leaseS ?? 300,
      tool: { read_only: more.readOnly ?? null },
    });
    const decision = answer.decision;
    if (decision === undefined) throw new Refused("unreachable", "the answer permits and names no decision");
    const used = answer.effect === "modify" ? answer.args : args;
    if (used === undefined) {
      await this.record({ decision, outcome: "not_started", error: "changed arguments were missing" });
      throw new Refused("unreachable", "the answer changes the arguments and does not say to what");
    }
    let result: T;
    try {
      result = await body(used);
    } catch (error) {
      await this.record({ decision, outcome: "failed", error: error instanceof Error ? error.name : "error" });
      throw error;
    }
    let shown = result;
    let withheld: unknown = null;
    if (answer.judge_return) {
      try {
        const returned = await this.check({ action: "tool.return", decision, result });
        if (returned.effect === "modify") {
          if (!("result" in returned)) throw new Refused("unreachable", "the answer changes the result and does not say to what");
          shown = returned.result as T;
        }
      } catch (error) {
        withheld = error;
      }
    }
    await this.record({ decision, outcome: "completed", result });
    if (withheld !== null) throw withheld;
    return shown;
  }

  /** Ask. Returns only what permits; throws `Refused` for a no, for no answer in time, and for one that makes no sense. */
  async check(asked: { [name: string]: Json | undefined }): Promise<Answer> {
    if (this.halt !== null) throw this.halt;
    const { session, run, user, labels } = this.options;
    const own = "decision" in asked ? {} : { session, run: run ?? "", user: user ?? "", labels: labels ?? {} };
    const answer = (await this.post("/check", { ...own, ...asked })) as unknown as Answer;
    if (answer.permitted === true && (answer.effect === "allow" || answer.effect === "modify")) return answer;
    const no = ["deny", "escalate", "halt"].includes(answer.effect) ? answer.effect : "unreachable";
    const refused = new Refused(no, answer.reason ?? "no reason given", answer);
    if (refused.halted) this.halt = refused;
    throw refused;
  }

  /** Say what came of it. It was done: that its record does not arrive is no reason to do it again. */
  async record(told: {
    decision: string;
    outcome: "completed" | "failed" | "not_started";
    result?: Json;
    error?: string;
    usage?: Usage;
    model?: string;
  }): Promise<boolean> {
    for (let attempt = 0; attempt < 3; attempt += 1) {
      try {
        await this.post("/record", told as unknown as { [name: string]: Json });
        return true;
      } catch (error) {
        if (error instanceof Refused && error.message.includes("(409)")) return true; // it is on record already
      }
    }
    return false; // the lease ends, and the outcome is on record as unknown
  }

  private async post(path: string, body: { [name: string]: Json | undefined }): Promise<{ [name: string]: Json }> {
    try {
      const response = await fetch(`${this.options.url}${path}`, {
        method: "POST",
        headers: { Authorization: `Bearer ${this.options.token}`, "Content-Type": "application/json" },
        body: JSON.stringify(body),
        redirect: "error",
        signal: AbortSignal.timeout(this.options.timeoutMs ?? 5000),
      });
      const told = await response.json();
      if (response.status === 200 && told !== null && typeof told === "object") return told;
      throw new Refused("unreachable", `(${response.status}) ${told?.detail ?? "no answer that makes sense"}`);
    } catch (error) {
      if (error instanceof Refused) throw error;
      throw new Refused("unreachable", error instanceof Error ? error.message : String(error));
    }
  }
}
