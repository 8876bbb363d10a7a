/**
 * The events' service: proto/weir/v1/events.proto → event.ts. A report is acknowledged as soon as it is understood; what
 * becomes of its events afterwards is no business of the edge.
 *
 * Bounds: EVENTS_MAX events a report; the size of a message is the server's.
 */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { type EventAck, EventAckSchema, type EventBatch, Events } from "../gen/weir/v1/events_pb.ts";
import { type UnaryMethod, unary } from "../ledger/grpc-web.ts";
import { Arrivals } from "./arrivals.ts";
import { eventOf, problemOf, type WeirEvent } from "./event.ts";
import type { Pseudonyms } from "./pseudonyms.ts";

const EVENTS_MAX = 1_024;

export interface EventHooks {
  /** A report: events that are new, were known already, were lost on the way, or were refused. */
  readonly onReport?: (counts: Readonly<Record<"taken" | "known" | "lost" | "refused", number>>) => void;
  /** Why an event was refused: the field that broke its bound. */
  readonly onRefused?: (field: string) => void;
}

export interface EventService {
  report(batch: EventBatch): Promise<EventAck>;
}

/** The service's one method. It rejects with ConnectError. */
export function eventService(
  pseudonyms: Pseudonyms,
  take: (event: WeirEvent) => void,
  hooks: EventHooks = {},
): EventService {
  const arrivals = new Arrivals();
  return {
    report: async ({ edge, first, dropped, events }) => {
      if (edge === 0n || first < 1n || events.length > EVENTS_MAX)
        throw new ConnectError(
          `edge: ${edge}, first: ${first}, events: ${events.length}: expected an edge, a number from 1, at most ${EVENTS_MAX}`,
          Code.InvalidArgument,
        );
      const { known, lost, taken } = arrivals.take(edge, first, events.length, dropped);
      const nowMs = Date.now();
      let refused = 0;
      events.slice(known).forEach((event, i) => {
        const problem = problemOf(event);
        if (problem === undefined) {
          const id = `${edge.toString(16).padStart(16, "0")}-${first + BigInt(known + i)}`;
          take(eventOf(event, id, nowMs, pseudonyms));
          return;
        }
        refused++;
        hooks.onRefused?.(problem);
      });
      hooks.onReport?.({ taken: events.length - known - refused, known, lost, refused });
      return create(EventAckSchema, { taken });
    },
  };
}

/** Adds the service to a router. */
export function serveEvents(router: ConnectRouter, service: EventService): void {
  router.service(Events, { report: (batch) => service.report(batch) });
}

/** The same method for grpc-web.ts, by path. */
export function eventMethods(service: EventService): Map<string, UnaryMethod> {
  const { report } = Events.method;
  const path = `/${Events.typeName}/${report.name}`;
  return new Map([[path, unary(report.input, report.output, (batch) => service.report(batch))]]);
}
