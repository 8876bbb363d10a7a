// `make check`: format, lint, types, generated files. Each is run even when one before it failed.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const CHECKS: [string, string[]][] = [
  ["npx", ["--no-install", "biome", "check", "."]],
  ["npx", ["--no-install", "tsc"]],
  [process.execPath, ["--import", "tsx", "scripts/generate.ts", "--check"]],
  [process.execPath, ["--import", "tsx", "scripts/docs.ts", "--check"]],
  [process.execPath, ["--import", "tsx", "deploy/sync.ts", "--check"]],
  [process.execPath, ["--import", "tsx", "scripts/kong-schema.ts", "--check"]],
  [process.execPath, ["--import", "tsx", "scripts/tidy.ts"]],
];

let failed = 0;
for (const [command, args] of CHECKS) {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status === 0) continue;
  failed++;
  console.error(
    `make check: failed: ${[command === process.execPath ? "node" : command, ...args].join(" ")}`,
  );
}
process.exit(failed ? 1 : 0);
