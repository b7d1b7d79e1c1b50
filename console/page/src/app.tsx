/** Which page stands at which path. */

import { lazy } from "./parts/lazy";
import { useEffect, useState } from "preact/hooks";
import { get, me } from "./api/client";
import type { Me, Summary } from "./api/types";
import { Frame, useKeys } from "./frame/frame";
import { KeysDialog } from "./frame/keys";
import { Login, OnlySends } from "./frame/login";
import { Title } from "./frame/title";
import { Empty, Loading, Trouble } from "./parts/basics";
import { Notices } from "./parts/notices";
import { WhyDialog } from "./parts/why";
import { follow, go, parts, place } from "./router";
import type { Problem } from "./api/client";
import { useCell } from "./state/cell";
import { connect, stream } from "./state/connection";
import { asProblem } from "./state/problem";
import { AgentsPage } from "./pages/agents";
import { AgentPage } from "./pages/agent";
import { ApprovalsPage } from "./pages/approvals";
import { LivePage } from "./pages/live";
import { SessionsPage } from "./pages/sessions";
import { TracePage } from "./pages/trace";

const PoliciesPage = lazy(() => import("./pages/policies").then((page) => page.PoliciesPage));
const AlertsPage = lazy(() => import("./pages/alerts").then((page) => page.AlertsPage));
const CostsPage = lazy(() => import("./pages/costs").then((page) => page.CostsPage));
const AccessPage = lazy(() => import("./pages/access").then((page) => page.AccessPage));

export function App() {
  const person = useCell(me);
  const [state, setState] = useState<"asking" | "ready" | Problem>("asking");
  const ask = () => {
    setState("asking");
    get<Me>("/me").then(
      (found) => {
        me.set(found);
        setState("ready");
      },
      (error: unknown) => setState(asProblem(error).status === 401 ? "ready" : asProblem(error)),
    );
  };
  useEffect(ask, []);
  useEffect(() => {
    document.addEventListener("click", follow);
    return () => document.removeEventListener("click", follow);
  }, []);
  if (state === "asking") return <Loading />;
  if (state !== "ready") return <Trouble problem={state} again={ask} />;
  if (person?.role === "reporter") return <OnlySends name={person.name} />;
  return person ? <Inside key={person.name} /> : <Login />;
}

/** The stream begins behind a cursor that is older than everything that pages load: nothing falls between them. */
function Inside() {
  const [ready, setReady] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const [help, setHelp] = useState(false);
  useKeys(go, () => setHelp(true));
  useEffect(() => {
    let stopped = false;
    let soon: ReturnType<typeof setTimeout> | undefined;
    const begin = () => {
      get<Summary>("/summary").then(
        (summary) => {
          if (stopped) return;
          stream.cursor = summary.cursor;
          setReady(true);
          soon = setTimeout(() => connect(true), 50); // when the page has said whether it wants live rows
        },
        (error: unknown) => stopped || setProblem(asProblem(error)),
      );
    };
    begin();
    return () => {
      stopped = true;
      clearTimeout(soon);
      connect(false);
    };
  }, []);
  if (problem) return <Trouble problem={problem} again={() => location.reload()} />;
  if (!ready) return <Loading />;
  return (
    <>
      <Frame>
        <Here />
      </Frame>
      <WhyDialog />
      {help ? <KeysDialog close={() => setHelp(false)} /> : null}
      <Notices />
    </>
  );
}

function Here() {
  const { path } = useCell(place);
  const [first, second] = parts(path);
  switch (first) {
    case undefined:
      return <LivePage />;
    case "sessions":
      return second ? <TracePage key={second} session={second} /> : <SessionsPage />;
    case "agents":
      return second ? <AgentPage key={second} name={second} /> : <AgentsPage />;
    case "approvals":
      return <ApprovalsPage chosen={second ?? ""} />;
    case "policies":
      return <PoliciesPage />;
    case "alerts":
      return <AlertsPage />;
    case "costs":
      return <CostsPage />;
    case "access":
      return <AccessPage />;
    default:
      return (
        <>
          <Title text="Not here" />
          <Empty title="There is no such page">
            <a href="/">Go to Live</a>
          </Empty>
        </>
      );
  }
}
