/**
 * The sidecar: the ledger, and whatever else is plugged in, behind one port. See port.ts for how one port speaks gRPC,
 * gRPC-Web, Connect and plain HTTP.
 *
 *   /weir.v1.Ledger/*   the ledger; the edge's unary gRPC-Web by a direct way, all else by Connect
 *   /weir.v1.Control/*  what edges ask for beside budgets: their policies' rules, compiled
 *   /weir.v1.Events/*   what edges report of requests, by the extension that takes it
 *   /weir.v1.LedgerAdmin/*   for people with the admin token, if there is one
 *   /livez              200 while this process answers, whatever its ledger does
 *   /healthz            200 while the ledger answers, or any node of its Redis Cluster does, else 503
 *   anything else       the extension's handler, or 404
 *
 * Bounds: settings.requestBytesMax per message (also after decompression), settings.connectionsMax.
 */
import type { ConnectRouter, Interceptor } from "@connectrpc/connect";
import { serveConnect } from "./connect.ts";
import { controlHandlers, controlMethods, serveControl } from "./control/service.ts";
import { systemReason, WeirError } from "./errors.ts";
import { serveAdmin } from "./ledger/admin.ts";
import { openEmbedded } from "./ledger/embedded.ts";
import { serveUnary, type UnaryMethod } from "./ledger/grpc-web.ts";
import { openRedis, type RedisHooks } from "./ledger/redis/store.ts";
import { ledgerHandlers, ledgerMethods, type ServiceHooks, serveLedger } from "./ledger/service.ts";
import type { Ledger, Notice } from "./ledger/types.ts";
import { Teller } from "./notices.ts";
import type { Around } from "./otel/spans.ts";
import { type Handler, openPort, type Port, type Request, type Response } from "./port.ts";
import type { Settings } from "./settings.ts";
import { Sweeper } from "./sweeper.ts";

/** How other parts of the sidecar join in. */
export interface Extensions extends ServiceHooks, RedisHooks {
  /** Adds services to the router. */
  readonly routes?: (router: ConnectRouter, ledger: Ledger) => void;
  /** Unary methods of those services by path, for the edge's direct way. */
  readonly methods?: ReadonlyMap<string, UnaryMethod>;
  /** Runs each call, with the trace that came with it. */
  readonly around?: Around;
  /** Tells people of a budget that crossed 80 % or 100 %: true when they have it; see notices.ts. */
  readonly tellNotice?: (notice: Notice) => Promise<boolean>;
  /** Plain HTTP: true if it took the request. */
  readonly http?: (request: Request, response: Response, ledger: Ledger) => boolean;
}

export interface Sidecar {
  readonly port: number;
  readonly ledger: Ledger;
  /** Finishes the requests under way, then closes the ledger. */
  close(): Promise<void>;
}

function openLedger(settings: Settings, hooks: RedisHooks): Promise<Ledger> {
  const { ledger } = settings;
  return ledger.kind === "embedded"
    ? openEmbedded({ directory: ledger.directory })
    : openRedis({ urls: ledger.urls, cluster: ledger.cluster, hooks });
}

function plain(response: Response, status: number, text: string): void {
  response.statusCode = status;
  response.setHeader("content-type", "text/plain");
  response.end(`${text}\n`);
}

/**
 * A cluster of which some nodes are away serves the organisations of the others, and all sidecars see it the same way: were
 * they not ready, nobody would be served.
 */
function healthText(ready: number): string {
  if (ready === 0) return "the ledger does not answer";
  if (ready === 1) return "ok";
  return `ok, but only ${Math.floor(ready * 100)} % of the nodes of Redis answer: organisations on the others have no ledger`;
}

/** Sweeps that another sidecar has for telling a notice before this one does. */
const LEFT_SWEEPS = 3;
/** How long a stop waits for notices that are on their way. */
const TELL_GRACE_MS = 3_000;

interface Listening extends Port {
  /** Answers requests from now on; those before it have had 503, as when the ledger is away. */
  use(handler: Handler): void;
}

/** Listens before there is a ledger to answer from, so that a start that cannot listen makes none. */
async function listen(settings: Settings, { onError }: Extensions): Promise<Listening> {
  let handler: Handler = (_request, response) => plain(response, 503, "the ledger is being opened");
  const use = (next: Handler): void => {
    handler = next;
  };
  try {
    const full = `connectionsMax: ${settings.connectionsMax}: as many are open, and more are refused`;
    const port = await openPort({
      ...settings,
      handler: (request, response) =>
        request.url === "/livez" ? plain(response, 200, "ok") : handler(request, response),
      onFull: () => onError?.(new WeirError("resource_exhausted", full)),
    });
    return { ...port, use };
  } catch (thrown) {
    const why = `cannot listen on ${settings.host}:${settings.port}: ${systemReason(thrown)}`;
    throw new WeirError("unavailable", why, thrown);
  }
}

/** Starts everything. Throws WeirError `unavailable` if the ledger or the port cannot be opened. */
export async function startSidecar(settings: Settings, extensions: Extensions = {}): Promise<Sidecar> {
  const port = await listen(settings, extensions);
  const ledger = await openLedger(settings, extensions).catch(async (thrown) => {
    await port.close();
    throw thrown;
  });
  const teller = new Teller({
    ledger,
    onNotices: extensions.onNotices,
    tellNotice: extensions.tellNotice,
    onError: extensions.onError,
    leftMs: settings.ledger.kind === "embedded" ? 0 : LEFT_SWEEPS * settings.sweepIntervalMs,
  });
  const hooks = { ...extensions, onNotices: (notices: readonly Notice[]) => teller.take(notices) };
  const handlers = ledgerHandlers(ledger, hooks);
  const control = controlHandlers(extensions);
  const { around } = extensions;
  const methods = new Map([
    ...ledgerMethods(handlers),
    ...controlMethods(control),
    ...(extensions.methods ?? []),
  ]);
  const direct = serveUnary(methods, settings.requestBytesMax, around);
  const traced: Interceptor = (next) => (request) => {
    const { service, method, header } = request;
    const path = `/${service.typeName}/${method.name}`;
    return around ? around(path, header.get("traceparent") ?? undefined, () => next(request)) : next(request);
  };
  const rpc = serveConnect({
    interceptors: [traced],
    routes: (router) => {
      serveLedger(router, handlers);
      serveControl(router, control);
      if (settings.adminToken !== "") serveAdmin(router, ledger, settings.adminToken, hooks);
      extensions.routes?.(router, ledger);
    },
    readMaxBytes: settings.requestBytesMax,
    fallback: (request, response) => {
      if (request.url === "/healthz")
        ledger
          .ready()
          .catch(() => 0)
          .then((ready) => plain(response, ready > 0 ? 200 : 503, healthText(ready)));
      else if (extensions.http?.(request, response, ledger) !== true) plain(response, 404, "not found");
    },
    refuse: (_request, response) =>
      plain(response, 400, "the request cannot be read: expected a host as in host: name:port"),
  });
  port.use((request, response) => direct(request, response) || rpc(request, response));
  const sweeper = new Sweeper({ ledger, teller, onUntold: extensions.onUntold, onError: extensions.onError });
  sweeper.start(settings.sweepIntervalMs);
  return {
    port: port.port,
    ledger,
    close: async () => {
      const swept = sweeper.stop();
      await port.close();
      await swept;
      await teller.close(TELL_GRACE_MS);
      await ledger.close();
    },
  };
}
