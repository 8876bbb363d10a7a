/**
 * A real sidecar as a process of its own, for the kill tier: settings from the environment, dead leases swept each so many milliseconds
 * as its argument says.
 */
import { openEvents } from "../../sidecar/events/open.ts";
import { combine } from "../../sidecar/extensions.ts";
import { observed } from "../../sidecar/log.ts";
import { startSidecar } from "../../sidecar/server.ts";
import { makeSettings, settingsFromEnvironment } from "../../sidecar/settings.ts";

const settings = makeSettings({
  ...settingsFromEnvironment(process.env),
  sweepIntervalMs: Number(process.argv[2]),
});
const told = observed(settings, () => undefined);
const events = await openEvents(settings.events, { registry: told.registry });
const { port } = await startSidecar(settings, combine(told, events.extensions));
process.send?.(port);
process.once("disconnect", () => process.exit(0));
