/** Short notices that come and go: what was done, or what failed. */

import { asProblem } from "../state/problem";
import { Cell, useCell } from "../state/cell";

interface Notice {
  id: number;
  text: string;
  tone: "good" | "bad";
}

const notices = new Cell<Notice[]>([]);
let last = 0;

export function tell(text: string, tone: "good" | "bad" = "good"): void {
  const id = ++last;
  notices.set([...notices.value, { id, text, tone }].slice(-4));
  setTimeout(() => notices.set(notices.value.filter((notice) => notice.id !== id)), tone === "bad" ? 9000 : 4000);
}

/** Do something that a person asked for, and say how it went. Gives whether it was done. */
export async function doing(act: Promise<unknown>, done: string): Promise<boolean> {
  try {
    await act;
    tell(done);
    return true;
  } catch (error) {
    const problem = asProblem(error);
    tell(problem.hint && !problem.message.includes(problem.hint) ? `${problem.message} ${problem.hint}` : problem.message, "bad");
    return false;
  }
}

export function Notices() {
  return (
    <div class="notices" role="status" aria-live="polite">
      {useCell(notices).map((notice) => (
        <div key={notice.id} class={`notice ${notice.tone}`}>
          {notice.text}
        </div>
      ))}
    </div>
  );
}
