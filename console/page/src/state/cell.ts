/** A value that parts of the page follow; they are told once in an animation frame. */

import { useEffect, useReducer } from "preact/hooks";
import { inNextFrame } from "./frame";

export class Cell<T> {
  #value: T;
  readonly #followers = new Set<() => void>();
  readonly #tell = () => {
    for (const follower of [...this.#followers]) follower();
  };

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  set(value: T): void {
    if (Object.is(value, this.#value)) return;
    this.#value = value;
    if (this.#followers.size) inNextFrame(this.#tell);
  }

  follow(follower: () => void): () => void {
    this.#followers.add(follower);
    return () => this.#followers.delete(follower);
  }
}

/** The cell's value; the component is drawn again when it changes. */
export function useCell<T>(cell: Cell<T>): T {
  const [, redraw] = useReducer((n: number) => n + 1, 0);
  useEffect(() => {
    const seen = cell.value;
    const stop = cell.follow(() => redraw(undefined));
    if (!Object.is(seen, cell.value)) redraw(undefined);
    return stop;
  }, [cell]);
  return cell.value;
}
