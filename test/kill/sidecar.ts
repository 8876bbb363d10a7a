/** A real sidecar as a process of its own, for the kill tier: settings from the environment, dead leases swept often. */
import { startSidecar } from "../../sidecar/server.ts";
import { makeSettings, settingsFromEnvironment } from "../../sidecar/settings.ts";

const SWEEP_MS = 500;

const { port } = await startSidecar(
  makeSettings({ ...settingsFromEnvironment(process.env), sweepIntervalMs: SWEEP_MS }),
);
process.send?.(port);
process.once("disconnect", () => process.exit(0));
