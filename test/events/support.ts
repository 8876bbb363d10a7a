// A receiver of events for filters in the Node host: what they report, and ways to fail them.
import { create } from "@bufbuild/protobuf";
import type { Pairs } from "../../host/abi.ts";
import type { ProfileName } from "../../host/profiles.ts";
import { eventMethods } from "../../sidecar/events/service.ts";
import { type Event, EventAckSchema, type EventBatch } from "../../sidecar/gen/weir/v1/events_pb.ts";
import { type EdgeOptions, keyEntry, LocalEdge } from "../support/filter.ts";

export class Receiver {
  readonly batches: EventBatch[] = [];
  /** Headers of every callout to the sidecar. */
  readonly callouts: Pairs[] = [];
  /** What becomes of reports: taken; taken, but the answer is lost; refused. */
  mode: "take" | "lose-answer" | "refuse" = "take";

  /** What was reported, by number of the edge's event: later reports of one replace earlier ones. */
  events(): Event[] {
    const byNumber = new Map<string, Event>();
    for (const batch of this.batches)
      batch.events.forEach((event, i) => {
        byNumber.set(`${batch.edge}-${batch.first + BigInt(i)}`, event);
      });
    return [...byNumber.values()];
  }

  report(batch: EventBatch): { taken: bigint } {
    if (this.mode === "refuse") throw new Error("told to refuse");
    this.batches.push(batch);
    if (this.mode === "lose-answer") throw new Error("told to lose the answer");
    return { taken: batch.first + BigInt(batch.events.length) - 1n };
  }

  callout(path: string): (name: string) => string | undefined {
    const headers = this.callouts.findLast((pairs) => pairs.some(([, value]) => value === path));
    return (name) => headers?.find(([header]) => header === name)?.[1];
  }
}

export async function edgeWithEvents(
  profile: ProfileName,
  policy: object,
  more: Partial<EdgeOptions> = {},
): Promise<{ edge: LocalEdge; receiver: Receiver; take(): Promise<Event[]> }> {
  const receiver = new Receiver();
  const edge = await LocalEdge.open({
    profile,
    policy: { events: {}, ...policy },
    methods: eventMethods({ report: async (batch) => create(EventAckSchema, receiver.report(batch)) }),
    onCallout: (headers) => receiver.callouts.push(headers),
    ...more,
  });
  const take = async () => {
    await edge.wait(1_000);
    return receiver.events();
  };
  return { edge, receiver, take };
}

export const PROFILES: readonly ProfileName[] = ["envoy", "ngx_wasm"];
export { keyEntry };
