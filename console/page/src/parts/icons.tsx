/** Line icons, 16 by 16, drawn in the colour of the text beside them. */

const PATHS = {
  live: "M1.5 8h3l2-5 3 10 2-5h3",
  session: "M2 3.5h7M4.5 8h8M7 12.5h7",
  approval: "M8 1.8l5 1.8v4c0 3-2 5.3-5 6.6-3-1.3-5-3.6-5-6.6v-4zM5.8 7.9l1.6 1.6 2.9-3.1",
  agent: "M4 5.5h8a1.5 1.5 0 0 1 1.5 1.5v4.5A1.5 1.5 0 0 1 12 13H4a1.5 1.5 0 0 1-1.5-1.5V7A1.5 1.5 0 0 1 4 5.5zM8 5.5V2.8M6 8.8v1M10 8.8v1",
  policy: "M4 1.8h5.5l3 3v9.4H4zM9.2 1.8v3.3h3.3M6.2 8.2h4M6.2 10.8h4",
  alert: "M8 2a4 4 0 0 1 4 4c0 3.6 1.5 4.8 1.5 4.8h-11S4 9.600 4 6a4 4 0 0 1 4-4zM6.600 13.2a1.5 1.5 0 0 0 2.8 0",
  cost: "M2.5 13.500h11M4 11V8.500M7 11V4M10 11V6.500M13 11V2.500",
  model: "M8 2l1.5 4.500L14 8l-4.500 1.500L8 14l-1.500-4.500L2 8l4.500-1.500z",
  tool: "M9.700 5.300a2.800 2.800 0 0 1 3.700-3.100l-1.700 1.700.4 1.400 1.400.4 1.700-1.700a2.800 2.800 0 0 1-3.800 3.600L6 13a1.500 1.500 0 0 1-2.100-2.100z",
  run: "M5 3l8 5-8 5z",
  host: "M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM2 8h12M8 2c2 2 2.500 4 2.500 6S10 12 8 14c-2-2-2.500-4-2.500-6S6 4 8 2z",
  retriever: "M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.300 10.300L14 14",
  output: "M2.500 8h8M7.500 4.500L11 8l-3.500 3.500M13.500 3v10",
  pause: "M5.500 3v10M10.500 3v10",
  stop: "M3.800 3.800h8.400v8.400H3.800z",
  close: "M4 4l8 8M12 4l-8 8",
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  search: "M7 2.500a4.500 4.500 0 1 0 0 9 4.500 4.500 0 0 0 0-9zM10.300 10.300L14 14",
  sun: "M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM8 1v1.500M8 13.500V15M1 8h1.500M13.500 8H15M3 3l1 1M12 12l1 1M13 3l-1 1M4 12l-1 1",
  moon: "M13 9.500A5.500 5.500 0 0 1 6.500 3a5.500 5.500 0 1 0 6.500 6.500z",
  system: "M2 3h12v8H2zM6 14h4M8 11v3",
  copy: "M5.500 5.500h7v8h-7zM3.500 10.500h-1v-8h7v1",
  out: "M6.500 3h-4v10h4M9.500 5l3 3-3 3M12.500 8h-7",
  check: "M3 8.500l3.500 3.500L13 4.500",
  warning: "M8 2.500l6 11H2zM8 6.500v3.500M8 11.700v.3",
  key: "M10 2.500a3.500 3.500 0 1 0 0 7 3.500 3.500 0 0 0 0-7zM7.500 8.500L2.500 13.500M4.500 11.500l1.500 1.500",
  play: "M5 3l8 5-8 5z",
  plus: "M8 3v10M3 8h10",
  bell: "M8 2a4 4 0 0 1 4 4c0 3.600 1.500 4.800 1.500 4.800h-11S4 9.600 4 6a4 4 0 0 1 4-4zM6.600 13.200a1.500 1.500 0 0 0 2.800 0",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, size = 16, label }: { name: IconName; size?: number; label?: string }) {
  return (
    <svg
      class="icon"
      width={size}
      height={size}
      viewBox="0 0 16 16"
      fill="none"
      stroke="currentColor"
      stroke-width="1.4"
      stroke-linecap="round"
      stroke-linejoin="round"
      {...(label ? { role: "img", "aria-label": label } : { "aria-hidden": "true" })}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}

const KINDS: Record<string, IconName> = {
  run: "run",
  "model.call": "model",
  model: "model",
  "tool.call": "tool",
  tool: "tool",
  "agent.spawn": "agent",
  agent: "agent",
  retrieval: "retriever",
  retriever: "retriever",
  embedding: "retriever",
  "http.request": "host",
  host: "host",
  output: "output",
};

export function kindIcon(kind: string): IconName {
  return KINDS[kind] ?? "run";
}
