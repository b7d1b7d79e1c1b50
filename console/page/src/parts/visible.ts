/** Characters that show nothing, or turn the text around them, are shown as escapes: what a person reads is what is there. */

import { options, type VNode } from "preact";

/** Control characters but tab and newline, marks and overrides of direction, blanks without width, and tag characters. */
const HIDDEN = /[\0-\x08\v-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb]|\udb40[\udc00-\udc7f]/g;

/** As JSON would have them: `\u202e`; in JSON's own text the meaning stays the same. */
export function visible(text: string): string {
  return text.replace(HIDDEN, (found) => Array.from({ length: found.length }, (_, at) => `\\u${found.charCodeAt(at).toString(16).padStart(4, "0")}`).join(""));
}

/** Every text node of the page goes through here, whichever page makes it. */
export function showHidden(): void {
  const before = options.vnode;
  options.vnode = (node: VNode) => {
    if (node.type === null && typeof node.props === "string") (node as { props: unknown }).props = visible(node.props);
    before?.(node);
  };
}
