/** A page whose code is loaded when somebody goes there. */

import { h, type FunctionComponent } from "preact";
import { useEffect, useState } from "preact/hooks";
import { asProblem } from "../state/problem";
import { Loading, Trouble } from "./basics";

export function lazy(load: () => Promise<FunctionComponent>): FunctionComponent {
  let loaded: FunctionComponent | null = null;
  return function Lazy() {
    const [, redraw] = useState(0);
    const [failed, fail] = useState<unknown>(null);
    useEffect(() => {
      if (loaded) return;
      load().then((page) => {
        loaded = page;
        redraw(1);
      }, fail);
    }, []);
    if (failed) return <Trouble problem={asProblem(failed)} again={() => location.reload()} />;
    return loaded ? h(loaded, {}) : <Loading />;
  };
}
