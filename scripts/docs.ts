// Writes docs/reference/: tables for people, made from the catalogues, the settings, the commands and the Makefile.
// What has no description anywhere (an environment variable, a make target, a header) is an error, so that the
// reference is complete or the check fails. `--check` writes nothing and fails when a file is not what it would write.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { headers, metrics, verdicts } from "./docs/catalogues.ts";
import { commands } from "./docs/commands.ts";
import { engines } from "./docs/engines.ts";
import { events } from "./docs/events.ts";
import { problems, root } from "./docs/page.ts";
import { policyReference } from "./docs/policy.ts";
import { settings } from "./docs/settings.ts";

const pages: Record<string, () => string | Promise<string>> = {
  "engines.md": engines,
  "policy.md": policyReference,
  "verdicts.md": verdicts,
  "metrics.md": metrics,
  "headers.md": headers,
  "events.md": events,
  "settings.md": settings,
  "commands.md": commands,
};
const NOTE = "<!-- Written by scripts/docs.ts. Change its sources, then run it. -->\n\n";

async function main(check: boolean): Promise<number> {
  const folder = new URL("docs/reference/", root);
  mkdirSync(folder, { recursive: true });
  for (const [name, make] of Object.entries(pages)) {
    const text = NOTE + (await make());
    const file = new URL(name, folder);
    let now = "";
    try {
      now = readFileSync(file, "utf8");
    } catch {
      // Not there yet: as good as different.
    }
    if (now === text) continue;
    if (check)
      problems.push(`docs/reference/${name} is not what scripts/docs.ts makes of its sources: run it`);
    else writeFileSync(file, text);
  }
  for (const name of readdirSync(folder))
    if (!(name in pages)) problems.push(`docs/reference/${name} is not a page of scripts/docs.ts: remove it`);
  for (const problem of problems) console.error(problem);
  return problems.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exit(await main(process.argv.includes("--check")));
