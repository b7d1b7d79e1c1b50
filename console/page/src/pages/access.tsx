/** Who may use this console, and as what. */

import { useState } from "preact/hooks";
import { get, may, me, patch, post, segment } from "../api/client";
import type { Role } from "../api/types";
import { Button, Facts, Loading, Pill, Trouble, When } from "../parts/basics";
import { doing, tell } from "../parts/notices";
import { askWhy } from "../parts/why";
import { Title } from "../frame/title";
import { useCell } from "../state/cell";
import { useLoad } from "../state/load";
import { asProblem } from "../state/problem";

const ROLES: Role[] = ["reporter", "viewer", "approver", "operator", "admin"];

interface User {
  name: string;
  role: Role;
  disabled: boolean;
  created: number;
  last_login: number | null;
}

interface Token {
  id: string;
  name: string;
  role: Role;
  created: number;
  expires: number | null;
  last_used: number | null;
}

export function AccessPage() {
  const person = useCell(me);
  return (
    <>
      <Title text="Access" />
      <section class="card">
        <h2>You</h2>
        <Facts
          items={[
            ["name", person?.name],
            ["role", person?.role],
            ["came by", person?.how],
            ["answers as", person?.answers_as.join(", ")],
            ["until", <When at={person?.expires} />],
          ]}
        />
      </section>
      {may("admin") ? (
        <>
          {person?.mode === "users" ? <Users /> : null}
          <Tokens />
        </>
      ) : null}
    </>
  );
}

function Users() {
  const loaded = useLoad<{ items: User[] }>("users", (signal) => get("/users", {}, signal), { kinds: ["access_", "logged_"] });
  const change = async (user: User, what: Partial<User>, title: string) => {
    const why = await askWhy({ title, text: "Their sessions end.", action: "Change" });
    if (why !== null && (await doing(patch(`/users/${segment(user.name)}`, { ...what, why }), `${user.name} is changed`))) loaded.again();
  };
  return (
    <>
      <h2 class="section">Users</h2>
      {loaded.problem ? <Trouble problem={loaded.problem} again={loaded.again} /> : null}
      {loaded.data ? (
        <table class="table">
          <thead>
            <tr>
              <th>Name</th>
              <th>Role</th>
              <th>Last came</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {loaded.data.items.map((user) => (
              <tr key={user.name}>
                <td class="strong">
                  {user.name} {user.disabled ? <Pill tone="bad">disabled</Pill> : null}
                </td>
                <td>
                  <select aria-label={`Role of ${user.name}`} value={user.role} onChange={(event) => void change(user, { role: event.currentTarget.value as Role }, `Give ${user.name} another role`)}>
                    {ROLES.map((role) => (
                      <option>{role}</option>
                    ))}
                  </select>
                </td>
                <td>
                  <When at={user.last_login} />
                </td>
                <td class="right">
                  <Button small onClick={() => void change(user, { disabled: !user.disabled }, user.disabled ? `Enable ${user.name}` : `Disable ${user.name}`)}>
                    {user.disabled ? "Enable" : "Disable"}
                  </Button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : loaded.problem ? null : (
        <Loading rows={3} />
      )}
      <NewUser done={loaded.again} />
    </>
  );
}

function NewUser({ done }: { done: () => void }) {
  const [name, setName] = useState("");
  const [password, setPassword] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const send = async () => {
    const why = await askWhy({ title: `Add ${name} as ${role}`, action: "Add" });
    if (why === null) return;
    if (await doing(post("/users", { name, role, password, why }), `${name} was added`)) {
      setName("");
      setPassword("");
      done();
    }
  };
  return (
    <form
      class="toolbar"
      onSubmit={(event) => {
        event.preventDefault();
        void send();
      }}
    >
      <input aria-label="Name" placeholder="Name" required autocomplete="off" value={name} onInput={(event) => setName(event.currentTarget.value)} />
      <input aria-label="Password" placeholder="Password" type="password" required autocomplete="new-password" value={password} onInput={(event) => setPassword(event.currentTarget.value)} />
      <RoleSelect role={role} choose={setRole} />
      <Button type="submit">Add user</Button>
    </form>
  );
}

function RoleSelect({ role, choose }: { role: Role; choose: (role: Role) => void }) {
  return (
    <select aria-label="Role" value={role} onChange={(event) => choose(event.currentTarget.value as Role)}>
      {ROLES.map((one) => (
        <option>{one}</option>
      ))}
    </select>
  );
}

function Tokens() {
  const loaded = useLoad<{ items: Token[] }>("tokens", (signal) => get("/tokens", {}, signal), { kinds: ["access_"] });
  const [name, setName] = useState("");
  const [role, setRole] = useState<Role>("viewer");
  const [made, setMade] = useState("");
  const make = async () => {
    const why = await askWhy({ title: `Make the token ${name}`, text: "It is shown once.", action: "Make" });
    if (why === null) return;
    try {
      const answer = await post<{ token: string }>("/tokens", { name, role, why });
      setMade(answer.token);
      setName("");
      loaded.again();
    } catch (error) {
      tell(asProblem(error).message, "bad");
    }
  };
  const revoke = async (token: Token) => {
    const why = await askWhy({ title: `Revoke ${token.name}`, action: "Revoke", danger: true });
    if (why !== null && (await doing(post(`/tokens/${segment(token.id)}/revoke`, { why }), `${token.name} is revoked`))) loaded.again();
  };
  return (
    <>
      <h2 class="section">Tokens for scripts</h2>
      {loaded.problem ? <Trouble problem={loaded.problem} again={loaded.again} /> : null}
      {made ? (
        <div class="banner good">
          Copy it now, it is not shown again: <code>{made}</code>
        </div>
      ) : null}
      {loaded.data?.items.length ? (
        <table class="table">
          <thead>
            <tr>
              <th>Name</th>
              <th>Role</th>
              <th>Made</th>
              <th>Expires</th>
              <th>Last used</th>
              <th />
            </tr>
          </thead>
          <tbody>
            {loaded.data.items.map((token) => (
              <tr key={token.id}>
                <td class="strong">{token.name}</td>
                <td>{token.role}</td>
                <td>
                  <When at={token.created} />
                </td>
                <td>
                  <When at={token.expires} />
                </td>
                <td>
                  <When at={token.last_used} relative />
                </td>
                <td class="right">
                  <Button small onClick={() => void revoke(token)}>
                    Revoke
                  </Button>
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      ) : null}
      <form
        class="toolbar"
        onSubmit={(event) => {
          event.preventDefault();
          void make();
        }}
      >
        <input aria-label="Name of the token" placeholder="Name of the token" required value={name} onInput={(event) => setName(event.currentTarget.value)} />
        <RoleSelect role={role} choose={setRole} />
        <Button type="submit">Make a token</Button>
      </form>
    </>
  );
}
