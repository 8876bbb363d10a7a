// The page of settings and environment variables of the sidecar and the demo.
import { makeSettings } from "../../sidecar/settings.ts";
import { DEMO_ENVIRONMENT, SIDECAR_ENVIRONMENT } from "./environment.ts";
import { names, read, same, table } from "./page.ts";

/** Read by what the demo starts, not by the demo. */
const DEMO_PASSED_ON = ["WEIR_REDIS_URL"];

export function settings(): string {
  const source = read("sidecar/settings.ts");
  const body = source.match(/export interface Settings \{\n([\s\S]*?)\n\}/)?.[1] ?? "";
  const defaults = makeSettings() as unknown as Record<string, unknown>;
  const ranges = new Map(
    [...source.matchAll(/integer\("(\w+)", settings\.\w+, ([^,]+), ([^)]+)\)/g)].map((m) => [
      m[1],
      `${m[2]} to ${m[3]}`.replaceAll("_", "").replace(/1 << (\d+)/g, (_, n) => String(2 ** Number(n))),
    ]),
  );
  const rows = [...body.matchAll(/(?:\/\*\* (.*?) \*\/\s*)?readonly (\w+): ([^;]+);/g)].map((match) => {
    const name = match[2] ?? "";
    const standard = JSON.stringify(defaults[name]) ?? "none";
    return [`\`${name}\``, `\`${match[3]}\``, `\`${standard}\``, ranges.get(name) ?? "", match[1] ?? ""];
  });
  same(
    "scripts/docs/environment.ts: settings",
    names(source, /env\.(\w+)/g),
    Object.keys(SIDECAR_ENVIRONMENT),
  );
  const demo = `${read("demo/run.ts")}${read("demo/processes.ts")}`;
  same("scripts/docs/environment.ts: demo", names(demo, /\benv\.(\w+)/g), Object.keys(DEMO_ENVIRONMENT));
  const variables = (of: Record<string, string>) => Object.entries(of).map(([n, what]) => [`\`${n}\``, what]);
  return `# Settings

## The sidecar

Read once at start and checked; a wrong one ends the start with \`VARIABLE: value: expected\`, where what may be secret is not repeated.

${table(["environment variable", "meaning"], variables(SIDECAR_ENVIRONMENT))}

All settings; what has no variable keeps its default:

${table(["setting", "type", "default", "range", "meaning"], rows)}

## The demo

${table(["environment variable", "meaning"], [...variables(DEMO_ENVIRONMENT), ...DEMO_PASSED_ON.map((n) => [`\`${n}\``, SIDECAR_ENVIRONMENT[n] ?? ""])])}
`;
}
