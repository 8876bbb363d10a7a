/**
 * Watches events for windows that stand out (sidecar/detect judges), and says so in a form that is told as it is. Callers
 * are known here by their pseudonyms only.
 *
 * Bounds: the detector's. Time moves with the events, and every TICK_MS, so that the last minutes of a subject that fell
 * silent are judged too. What comes more than a minute late, as after an outage, is not judged.
 */
import { type Anomaly, Detector, MINUTE_MS } from "../detect/detector.ts";
import type { WeirEvent } from "./event.ts";
import type { Told } from "./lines.ts";

const TICK_MS = 5_000;
const MICRODOLLARS = 1_000_000;

/** What stands out: in which window, of whom, and by how much. */
export interface Found extends Told {
  readonly type: "anomaly";
  readonly severity: Anomaly["severity"];
  readonly class: Anomaly["class"];
}

export interface Detection {
  take(event: WeirEvent): void;
  close(): void;
}

function foundOf({ startMs, lengthMs, z, class: named, ...rest }: Anomaly): Found {
  return {
    type: "anomaly",
    severity: rest.severity,
    class: named,
    kind: rest.kind,
    name: rest.name,
    start: new Date(startMs).toISOString(),
    window: `${lengthMs / MINUTE_MS}m`,
    measure: rest.measure,
    value: rest.value,
    usual: rest.usual,
    sigma: z,
    basis: rest.basis,
  };
}

export function openDetection(onFound: (found: Found) => void): Detection {
  const detector = new Detector();
  const tell = (anomalies: readonly Anomaly[]): void => {
    for (const anomaly of anomalies) onFound(foundOf(anomaly));
  };
  const timer = setInterval(() => tell(detector.advance(Date.now())), TICK_MS);
  timer.unref();
  return {
    take: ({ endMs, address, subject, organisation, promptTokens, completionTokens, cost }) => {
      const row = {
        timeMs: endMs,
        ...(address !== "" && { address }),
        ...(subject !== "" && { key: subject, organisation }),
        requests: 1,
        tokens: promptTokens + completionTokens,
        cost: cost / MICRODOLLARS,
      };
      tell(detector.add(row));
    },
    close: () => clearInterval(timer),
  };
}
