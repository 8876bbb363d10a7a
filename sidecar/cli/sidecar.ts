// `weir sidecar`: the ledger and what else stands beside the proxies, with settings from the environment. Its log is
// one JSON object a line, and names no key.
import { openEvents } from "../events/open.ts";
import { combine } from "../extensions.ts";
import { observed } from "../log.ts";
import { startSidecar } from "../server.ts";
import { settingsFromEnvironment } from "../settings.ts";

export async function sidecarCommand(args: string[]): Promise<number> {
  if (args.length > 0) {
    console.error(
      "usage: weir sidecar      (settings come from the environment: docs/reference/settings.md)",
    );
    return 2;
  }
  const settings = settingsFromEnvironment(process.env);
  const told = observed(settings, (level, line) => {
    if (level === "error") console.error(line);
    else console.log(line);
  });
  const events = await openEvents(settings.events, {
    registry: told.registry,
    onProblem: (what) => console.error(JSON.stringify({ level: "error", message: what })),
  });
  const sidecar = await startSidecar(settings, combine(told, events.extensions));
  console.log(`weir: sidecar ready on ${settings.host}:${sidecar.port} (${settings.ledger.kind} ledger)`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  await sidecar.close();
  await events.close();
  return 0;
}
