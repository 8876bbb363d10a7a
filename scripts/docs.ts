// Writes docs/reference/: tables for people, made from the catalogues, the settings, the commands and the Makefile.
// What has no description anywhere (an environment variable, a make target, a header) is an error, so that the
// reference is complete or the check fails. `--check` writes nothing and fails when a file is not what it would write.
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { derive } from "./derived.ts";
import { headers, metrics, verdicts } from "./docs/catalogues.ts";
import { commands } from "./docs/commands.ts";
import { engines } from "./docs/engines.ts";
import { events } from "./docs/events.ts";
import { problems } from "./docs/page.ts";
import { policyReference } from "./docs/policy.ts";
import { settings } from "./docs/settings.ts";
import { at } from "./sources.ts";

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
const FOLDER = "docs/reference/";
const NOTE = "<!-- Written by scripts/docs.ts. Change its sources, then run it. -->\n\n";

async function main(check: boolean): Promise<number> {
  const outputs: Record<string, string> = {};
  for (const [name, make] of Object.entries(pages)) outputs[`${FOLDER}${name}`] = NOTE + (await make());
  const stale = derive(outputs, check);
  if (check)
    problems.push(...stale.map((path) => `${path} is not what scripts/docs.ts makes of its sources: run it`));
  for (const name of readdirSync(at(FOLDER)))
    if (!(name in pages)) problems.push(`${FOLDER}${name} is not a page of scripts/docs.ts: remove it`);
  for (const problem of problems) console.error(problem);
  return problems.length > 0 ? 1 : 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  process.exit(await main(process.argv.includes("--check")));
