/**
 * The Lua sources, put together: the bounds of types.ts, common.lua, and one script's own file (ready.lua is that alone). Redis
 * knows a script by the SHA-1 of its text, so two sidecars of one version share them, and a new version never runs an old one.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { LIMITS } from "../types.ts";

export interface Script {
  readonly name: ScriptName;
  readonly source: string;
  readonly sha: string;
}

export const SCRIPT_NAMES = ["acquire", "settle", "release", "sweep", "adjust", "ready"] as const;
export type ScriptName = (typeof SCRIPT_NAMES)[number];
export type Scripts = Readonly<Record<ScriptName, Script>>;

/**
 * With it Redis looks before it runs a script whether it would take a write, and refuses if not. Else a script that finds
 * nothing to write is answered, also by a replica: that it does not know a lease, which may only not have reached it yet.
 */
const WRITES = "#!lua\n";

function limits(): string {
  const fields = Object.entries(LIMITS).map(([name, value]) => `${name} = ${value}`);
  return `local LIMITS = { ${fields.join(", ")} }\n`;
}

function read(name: string): string {
  return readFileSync(new URL(`./${name}.lua`, import.meta.url), "utf8");
}

/** Reads the scripts from the files beside this one. */
export function loadScripts(): Scripts {
  const common = read("common");
  const text = (name: ScriptName): string => `${limits()}${common}\n${read(name)}`;
  const script = (name: ScriptName): Script => makeScript(name, WRITES + text(name));
  return {
    acquire: script("acquire"),
    settle: script("settle"),
    release: script("release"),
    sweep: script("sweep"),
    adjust: script("adjust"),
    // Must run where that line is an error, to say which version it is.
    ready: makeScript("ready", read("ready")),
  };
}

export function makeScript(name: ScriptName, source: string): Script {
  return { name, source, sha: createHash("sha1").update(source).digest("hex") };
}
