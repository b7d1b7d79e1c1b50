/** Work that changes the page happens once in an animation frame, however many updates came; in a hidden tab on a timer. */

type Task = () => void;

const waiting = new Set<Task>();
let scheduled = false;

/** Run `task` in the next frame; asking again before then changes nothing. */
export function inNextFrame(task: Task): void {
  waiting.add(task);
  if (scheduled) return;
  scheduled = true;
  if (document.hidden) setTimeout(flush, 100);
  else requestAnimationFrame(flush);
}

/** Run what waits now. */
export function flush(): void {
  scheduled = false;
  const tasks = [...waiting];
  waiting.clear();
  for (const task of tasks) task();
}

// A frame that was asked for in a tab that is hidden since never comes.
document.addEventListener("visibilitychange", () => {
  if (waiting.size) flush();
});
