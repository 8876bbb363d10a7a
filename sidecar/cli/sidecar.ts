// `weir sidecar`: the ledger and what else stands beside the proxies, with settings from the environment. Its log is
// one JSON object a line, and names no key.
import { parseArgs } from "node:util";
import { openEvents } from "../events/open.ts";
import { combine } from "../extensions.ts";
import { observed } from "../log.ts";
import { startSidecar } from "../server.ts";
import { settingsFromEnvironment } from "../settings.ts";
import { runsUnread } from "./usage.ts";

export const USAGE = `usage: weir sidecar

Settings come from the environment (docs/reference/settings.md); WEIR_SIDECAR_HOST and WEIR_SIDECAR_PORT are where it listens,
127.0.0.1:8081. The ledger is in WEIR_REDIS_URL, else in the directory WEIR_LEDGER_DIRECTORY (.weir/ledger). Runs until SIGINT or
SIGTERM.

exit status: 0 ended by a signal, 1 a setting is wrong, or the port or the ledger cannot be opened, 2 wrong usage`;

export async function run(args: string[]): Promise<number> {
  parseArgs({ args, options: {} });
  runsUnread();
  const settings = settingsFromEnvironment(process.env);
  const told = observed(settings, (level, line) => {
    if (level === "error") console.error(line);
    else console.log(line);
  });
  const events = await openEvents(settings.events, {
    registry: told.registry,
    onProblem: told.onProblem,
  });
  const sidecar = await startSidecar(settings, combine(told, events.extensions));
  console.log(`weir: sidecar ready on ${settings.host}:${sidecar.port} (${settings.ledger.kind} ledger)`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  await sidecar.close();
  await events.close();
  // What still waits for an answer has had its time, and would keep the process.
  process.exit(0);
}
