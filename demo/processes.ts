// Starting and ending what a demo or a test needs: free ports, real Envoy from a template, child processes by
// their own id. Everything stays on loopback.
import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../", import.meta.url));

/** A port that was free a moment ago. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

const OUTPUT_CHARS = 8_000_000;

export interface Child {
  readonly process: ChildProcess;
  /** What it wrote to stdout and stderr; of very much, the end. */
  output(): string;
  /** Whether it has ended and all that it wrote is here. */
  hasEnded(): boolean;
  /** Ends it: SIGTERM, and SIGKILL after `graceMs`. */
  stop(graceMs?: number): Promise<void>;
  /** SIGKILL, now. */
  kill(): Promise<void>;
}

export function start(
  command: string,
  args: string[],
  options: { env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Child {
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const keep = (data: Buffer) => {
    output += data;
    if (output.length > 2 * OUTPUT_CHARS) output = output.slice(-OUTPUT_CHARS);
  };
  child.stdout.on("data", keep);
  child.stderr.on("data", keep);
  child.on("error", (error) => keep(Buffer.from(`${error}\n`)));
  let hasEnded = false;
  const ended = new Promise<void>((resolve) => {
    const end = () => {
      hasEnded = true;
      resolve();
    };
    child.once("close", end);
    child.once("error", end);
  });
  const signal = async (name: NodeJS.Signals, graceMs: number) => {
    if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    child.kill(name);
    const timer = setTimeout(() => child.kill("SIGKILL"), graceMs);
    await ended;
    clearTimeout(timer);
  };
  return {
    process: child,
    output: () => output,
    hasEnded: () => hasEnded,
    stop: (graceMs = 5000) => signal("SIGTERM", graceMs),
    kill: () => signal("SIGKILL", 5000),
  };
}

/** Calls `probe` until it answers true. */
export async function until(
  what: string,
  probe: () => Promise<boolean> | boolean,
  timeoutMs = 15_000,
): Promise<void> {
  const end = Date.now() + timeoutMs;
  for (;;) {
    if (await Promise.resolve(probe()).catch(() => false)) return;
    if (Date.now() > end) throw new Error(`${what}: not ready after ${timeoutMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Calls `probe` until it answers true, as long as the child runs. Throws with the last line that it wrote. */
export async function untilUp(
  what: string,
  child: Child,
  probe: () => Promise<boolean> | boolean,
  timeoutMs?: number,
): Promise<void> {
  const lastLine = () => child.output().trimEnd().split("\n").at(-1);
  await until(what, () => child.hasEnded() || probe(), timeoutMs).catch((error: Error) => {
    throw new Error(`${error.message}; its last line: ${lastLine()}`);
  });
  if (child.hasEnded()) throw new Error(`${what} ended; its last line: ${lastLine()}`);
}

/** The Envoy to use: $ENVOY, or the one installed into .venv; undefined without one. */
export function envoyBinary(): string | undefined {
  const given = process.env.ENVOY;
  if (given) return given;
  for (const version of ["python3.11", "python3.12", "python3.13", "python3.14", "python3.10", "python3.9"]) {
    const path = join(root, `.venv/lib/${version}/site-packages/envoy/_bin/envoy`);
    if (existsSync(path)) return path;
  }
  return undefined;
}

export interface EnvoyOptions {
  /** A configuration under envoy/. */
  template?: string;
  wasm?: string;
  policy: unknown;
  upstreamPort: number;
  upstreamHost?: string;
  sidecarPort: number;
  port?: number;
  adminPort?: number;
  concurrency?: number;
  /** Envoy's own log level, and those of its components; the filter's lines come from `wasm`. */
  logLevel?: string;
  componentLogLevel?: string;
  /** Changes the configuration's text before it is written: for tests of other settings only. */
  edit?: (text: string) => string;
}

export interface Envoy extends Child {
  port: number;
  adminPort: number;
  url: string;
  /** A page of the admin interface. */
  admin(path: string): Promise<string>;
}

/** Fills a template's `${NAME}` places; an unknown or missing name is an error. */
export function fill(text: string, values: Record<string, string>): string {
  return text.replace(/\$\{([A-Z_]+)\}/g, (_, name: string) => {
    const value = values[name];
    if (value === undefined) throw new Error(`no value for \${${name}}`);
    return value;
  });
}

/** Starts Envoy and waits until it serves; throws with its own output when it does not. */
export async function startEnvoy(options: EnvoyOptions): Promise<Envoy> {
  const binary = envoyBinary();
  if (!binary) throw new Error("no Envoy: run make install, or name one in ENVOY");
  const port = options.port ?? (await freePort());
  const adminPort = options.adminPort ?? (await freePort());
  const dir = mkdtempSync(join(tmpdir(), "weir-envoy-"));
  const template = readFileSync(join(root, "envoy", options.template ?? "weir.yaml"), "utf8");
  const config = fill(template.replace(/^#.*\n/gm, ""), {
    PORT: String(port),
    ADMIN_PORT: String(adminPort),
    WASM: options.wasm ?? join(root, "dist/weir.wasm"),
    POLICY: JSON.stringify(JSON.stringify(options.policy)),
    UPSTREAM_HOST: options.upstreamHost ?? "127.0.0.1",
    UPSTREAM_PORT: String(options.upstreamPort),
    SIDECAR_HOST: "127.0.0.1",
    SIDECAR_PORT: String(options.sidecarPort),
  });
  const file = join(dir, "envoy.yaml");
  writeFileSync(file, options.edit ? options.edit(config) : config);
  const child = start(binary, [
    ...["-c", file, "--concurrency", String(options.concurrency ?? 2)],
    ...["--disable-hot-restart", "--log-level", options.logLevel ?? "warning"],
    ...["--component-log-level", options.componentLogLevel ?? "wasm:info"],
  ]);
  const admin = async (path: string) => (await fetch(`http://127.0.0.1:${adminPort}${path}`)).text();
  const stop = child.stop;
  const envoy: Envoy = {
    ...child,
    port,
    adminPort,
    url: `http://127.0.0.1:${port}`,
    admin,
    stop: async (graceMs) => {
      await stop(graceMs);
      rmSync(dir, { recursive: true, force: true });
    },
  };
  try {
    await untilUp("envoy", child, async () => (await admin("/ready")).startsWith("LIVE"), 20_000);
    return envoy;
  } catch (error) {
    await envoy.stop();
    throw new Error(`${(error as Error).message}\n${child.output().slice(-4000)}`);
  }
}
