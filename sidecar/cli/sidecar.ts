// `weir sidecar`: the ledger and what else stands beside the proxies, with settings from the environment. Its log is
// one JSON object a line, and names no key.
import { makeMetrics } from "../metrics.ts";
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
  const { hooks } = makeMetrics();
  const sidecar = await startSidecar(settings, {
    ...hooks,
    onError: (error) => {
      hooks.onError?.(error);
      const cause = error.cause instanceof Error ? error.cause.message : undefined;
      console.error(JSON.stringify({ level: "error", code: error.code, message: error.message, cause }));
    },
    onNotices: (notices) => {
      hooks.onNotices?.(notices);
      for (const notice of notices) console.log(JSON.stringify({ level: "notice", ...notice }));
    },
  });
  console.log(`weir: sidecar ready on ${settings.host}:${sidecar.port} (${settings.ledger.kind} ledger)`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  await sidecar.close();
  return 0;
}
