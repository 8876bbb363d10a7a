/**
 * The processes of the kill tier: a sidecar, and a redis-server if the ledger is there. Each is killed by its own
 * process id, with SIGKILL, and started again on what it left on disk.
 */
import { type ChildProcess, fork } from "node:child_process";
import { copyFileSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { freePort } from "../../demo/processes.ts";
import { startRedis, type TestRedis } from "../../sidecar/ledger/redis/testing.ts";

export const ADMIN_TOKEN = "a-token-of-the-kill-tier";
/** A round of the sidecar's sweeps. */
export const SWEEP_MS = 250;
const START_MS = 15_000;

export interface Processes {
  readonly port: number;
  /** What can be killed. */
  readonly names: readonly string[];
  /** Kills it, and resolves when it is up again. */
  kill(name: string): Promise<void>;
  stop(): Promise<void>;
}

/** Makes one file of the sidecar, with its scripts beside it: so it starts in a moment, and is killed at work. */
function bundle(): Promise<string> {
  bundled ??= makeBundle();
  return bundled;
}

let bundled: Promise<string> | undefined;

async function makeBundle(): Promise<string> {
  const scripts = fileURLToPath(new URL("../../sidecar/ledger/redis/", import.meta.url));
  const outdir = fileURLToPath(new URL("../../build/kill/", import.meta.url));
  await build({
    entryPoints: [fileURLToPath(new URL("./sidecar.ts", import.meta.url))],
    ...{ bundle: true, platform: "node", format: "esm", outdir, outExtension: { ".js": ".mjs" } },
    // What is native stays a package; some packages ask for `require`.
    external: ["lmdb"],
    banner: {
      js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
    },
    logLevel: "error",
  });
  for (const name of readdirSync(scripts))
    if (name.endsWith(".lua")) copyFileSync(join(scripts, name), join(outdir, name));
  return join(outdir, "sidecar.mjs");
}

function startSidecar(file: string, env: Record<string, string>): Promise<ChildProcess> {
  const child = fork(file, [String(SWEEP_MS)], { execArgv: [], env: { ...process.env, ...env } });
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the sidecar did not start")), START_MS);
    child.once("message", () => {
      clearTimeout(timer);
      resolve(child);
    });
    child.once("exit", (code) => {
      if (code !== null) reject(new Error(`the sidecar ended with ${code}`));
    });
  });
}

async function end(child: ChildProcess): Promise<void> {
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await ended;
}

/** Starts them. Redis runs with `appendonly yes` and `appendfsync always`. */
export async function startProcesses(
  store: "embedded" | "redis",
  more: Readonly<Record<string, string>> = {},
): Promise<Processes> {
  const directory = mkdtempSync(join(tmpdir(), "weir-kill-"));
  const redis: TestRedis | undefined = store === "redis" ? await startRedis() : undefined;
  const port = await freePort();
  const env = {
    WEIR_SIDECAR_PORT: String(port),
    WEIR_LEDGER_DIRECTORY: directory,
    WEIR_REDIS_URL: redis?.urls[0] ?? "",
    WEIR_ADMIN_TOKEN: ADMIN_TOKEN,
    ...more,
  };
  const file = await bundle();
  let sidecar = await startSidecar(file, env);
  return {
    port,
    names: redis === undefined ? ["sidecar"] : ["sidecar", "redis-server"],
    kill: async (name) => {
      if (name === "redis-server") return redis?.restart("SIGKILL");
      await end(sidecar);
      sidecar = await startSidecar(file, env);
    },
    stop: async () => {
      await end(sidecar);
      await redis?.stop();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
