/** The keys of this page. */

import { useEffect, useRef } from "preact/hooks";
import { Button } from "../parts/basics";
import { WAYS } from "./frame";

const KEYS: [string, string][] = [
  ["/", "search or query"],
  ["↑ ↓", "choose a step or a row"],
  ["← →", "close or open what is beneath a step"],
  ["+ − 0", "zoom in, out, show all"],
  ["Shift ← →", "move in time"],
  ["Enter", "open"],
  ["Ctrl Enter", "send a reason"],
  ["?", "these keys"],
];

export function KeysDialog({ close }: { close: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="keys-title" onClose={close}>
      <h2 id="keys-title">Keys</h2>
      <dl class="keys">
        {WAYS.map((way): [string, string] => [`g ${way.key}`, way.text])
          .concat(KEYS)
          .map(([key, text]) => (
            <div>
              <dt>
                <kbd>{key}</kbd>
              </dt>
              <dd>{text}</dd>
            </div>
          ))}
      </dl>
      <div class="dialog-actions">
        <Button kind="main" onClick={() => dialog.current?.close()}>
          Close
        </Button>
      </div>
    </dialog>
  );
}
