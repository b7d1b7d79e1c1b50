import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Plugin, UserConfig } from "vite";

const SHIPPED = ["@codemirror", "@fontsource-variable", "@lezer", "@marijn", "crelt", "preact", "style-mod", "uplot", "w3c-keyname"];

/** The licences of everything that ends up in the bundle: they ask to be passed on with it. */
function licences(): Plugin {
  return {
    name: "licences",
    apply: "build",
    generateBundle() {
      const roots = SHIPPED.flatMap((name) =>
        name.startsWith("@") ? readdirSync(join("node_modules", name)).map((child) => `${name}/${child}`) : [name],
      );
      const texts = roots.map((name) => {
        const folder = join("node_modules", name);
        const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry));
        const { version } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version: string };
        return `${name} ${version}\n\n${file ? readFileSync(join(folder, file), "utf8").trim() : "see package.json"}\n`;
      });
      this.emitFile({ type: "asset", fileName: "THIRD-PARTY.txt", source: texts.join(`\n${"-".repeat(72)}\n\n`) });
    },
  };
}

const config: UserConfig & { test: object } = {
  plugins: [licences()],
  build: {
    outDir: "../src/jackline_console/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0, // the page's CSP refuses data: addresses
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
  },
  server: { proxy: { "/api": process.env["JACKLINE_CONSOLE"] ?? "http://127.0.0.1:8642" } },
  test: { environment: "happy-dom", include: ["tests/**/*.test.ts", "tests/**/*.test.tsx"] },
};

export default config;
