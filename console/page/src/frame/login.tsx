/** Who are you? By link on loopback; by password or an identity provider elsewhere. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { get, me, post } from "../api/client";
import type { Problem } from "../api/client";
import type { Access, Me } from "../api/types";
import { Button, Loading, Trouble } from "../parts/basics";
import { useLoad } from "../state/load";
import { asProblem } from "../state/problem";
import { Mark } from "./frame";

export function Login() {
  const access = useLoad<Access>("access", (signal) => get("/access", {}, signal));
  return (
    <Card>
      {access.problem ? <Trouble problem={access.problem} again={access.again} /> : null}
      {access.data ? <Ways access={access.data} /> : access.problem ? null : <Loading rows={2} />}
      {access.data ? <p class="muted small-text">version {access.data.version}</p> : null}
    </Card>
  );
}

function Card({ children }: { children: ComponentChildren }) {
  return (
    <main class="login">
      <div class="login-card">
        <p class="brand">
          <Mark />
          <span>Jackline</span>
        </p>
        {children}
      </div>
    </main>
  );
}

function Ways({ access }: { access: Access }) {
  return (
    <>
      {access.methods.includes("password") ? <Password /> : null}
      {access.oidc ? (
        <a class="button wide" href={access.oidc} target="_self">
          Log in with your organisation's account
        </a>
      ) : null}
      {access.methods.includes("link") ? (
        <div class="advice">
          <h1>Open the link from your terminal</h1>
          <p>
            <code>jackline console</code> printed a link that works once. For another one, type
          </p>
          <pre class="json">jackline console --link</pre>
        </div>
      ) : null}
    </>
  );
}

function Password() {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [problem, setProblem] = useState<Problem | null>(null);
  const [busy, setBusy] = useState(false);
  const send = async () => {
    setBusy(true);
    setProblem(null);
    try {
      me.set(await post<Me>("/login", { name, password }));
    } catch (error) {
      setProblem(asProblem(error));
      setPassword("");
    } finally {
      setBusy(false);
    }
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <h1>Log in</h1>
      {problem ? <Trouble problem={problem} /> : null}
      <label class="field">
        <span>Name</span>
        <input name="username" autocomplete="username" required value={name} onInput={(event) => setName(event.currentTarget.value)} />
      </label>
      <label class="field">
        <span>Password</span>
        <input type="password" name="password" autocomplete="current-password" required value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
      </label>
      <Button kind="main" type="submit" disabled={busy || !name || !password}>
        {busy ? "Logging in" : "Log in"}
      </Button>
    </form>
  );
}

/** Who may send telemetry sees nothing of what others sent. */
export function OnlySends({ name }: { name: string }) {
  return (
    <Card>
      <div class="advice">
        <h1>There is nothing to see for a reporter</h1>
        <p>
          {name} has the role <code>reporter</code>: it sends telemetry to this console, over OTLP, and sees nothing. An admin can give another role.
        </p>
      </div>
      <Button onClick={() => void post("/logout").finally(() => me.set(null))}>Log out</Button>
    </Card>
  );
}
