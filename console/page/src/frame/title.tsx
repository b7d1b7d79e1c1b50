/** The head of a page: its title, where it goes back to, what can be done. */

import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";
import { Icon } from "../parts/icons";

interface Props {
  text: string;
  back?: string;
  pill?: ComponentChildren;
  children?: ComponentChildren;
}

export function Title({ text, back, pill, children }: Props) {
  useEffect(() => {
    document.title = `${text} · Jackline`;
  }, [text]);
  return (
    <header class="title">
      {back ? (
        <a class="back" href={back} aria-label="Back">
          <Icon name="right" />
        </a>
      ) : null}
      <h1>{text}</h1>
      {pill}
      <span class="grow" />
      {children ? <div class="title-actions">{children}</div> : null}
    </header>
  );
}
