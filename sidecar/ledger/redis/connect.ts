/**
 * The connection to Redis or Redis Cluster, narrowed to the few commands the ledger needs. Both clients have them.
 *
 * While the connection is away, commands fail at once instead of queueing: the edge has a policy for an outage, and a
 * reply that comes after its deadline helps nobody. Reconnecting backs off from 50 ms to 2 s, with jitter so that many
 * sidecars do not come back in step.
 */
import { createClient, createCluster, ErrorReply, RESP_TYPES } from "redis";
import { WeirError } from "../../errors.ts";

/** A script's keys and arguments; packed numbers are bytes. */
export interface ScriptCall {
  readonly keys: string[];
  readonly arguments: (string | Buffer)[];
}

export interface RedisCommands {
  evalSha(sha: string, call: ScriptCall): Promise<unknown>;
  eval(source: string, call: ScriptCall): Promise<unknown>;
  /** The bytes of a value. */
  getBytes(key: string): Promise<Buffer | null>;
  exists(key: string): Promise<number>;
  sAdd(key: string, member: string): Promise<number>;
  sMembers(key: string): Promise<string[]>;
  zRange(key: string, start: number, stop: number): Promise<string[]>;
  zRem(key: string, members: string[]): Promise<number>;
  lRange(key: string, start: number, stop: number): Promise<string[]>;
  close(): Promise<unknown>;
  destroy(): void;
}

export interface ConnectOptions {
  /** redis://[user:password@]host:port or rediss://… for TLS. */
  readonly urls: readonly string[];
  readonly cluster: boolean;
  /** Every failure of the connection, in words without secrets; it keeps trying by itself. */
  readonly onConnectionError: (reason: string) => void;
}

const CONNECT_MS = 2_000;
const BACKOFF_MS_MIN = 50;
const BACKOFF_MS_MAX = 2_000;
const COMMANDS_WAITING_MAX = 10_000;
const PING_MS = 5_000;
/** A node that is away so long may have been replaced: the others are asked who has its slots. */
const TOPOLOGY_MS = 1_000;

/** How long to wait before the next try to connect, in ms. */
export function backoff(retries: number): number {
  const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(retries, 10));
  return ceiling / 2 + (Math.random() * ceiling) / 2;
}

/** Why a connection or a command failed. Of what Redis answers only the code is told: some versions repeat what they were sent, passwords too. */
export function reasonOf(error: Error & { code?: string }): string {
  if (error instanceof ErrorReply)
    return `Redis answered ${/^[A-Z]+/.exec(error.message)?.[0] ?? "an error"}`;
  // Of a host with several addresses the error has no message of its own.
  return error.message || error.code || error.name;
}

/** Connects, or throws WeirError `unavailable` without ever showing the URL, which may hold a password. */
export async function connect(options: ConnectOptions): Promise<RedisCommands> {
  const common = {
    disableOfflineQueue: true,
    commandsQueueMaxLength: COMMANDS_WAITING_MAX,
    pingInterval: PING_MS,
    socket: { connectTimeout: CONNECT_MS, reconnectStrategy: backoff },
  };
  const { username, password, protocol } = new URL(options.urls[0] ?? "");
  const secure = protocol === "rediss:";
  const credentials = {
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
  };
  const client = options.cluster
    ? createCluster({
        rootNodes: options.urls.map((url) => ({ url })),
        topologyRefreshOnReconnectionAttemptStrategy: TOPOLOGY_MS,
        // Nodes that are discovered have no URL of their own, so they are told here to speak TLS as well.
        defaults: {
          ...common,
          ...credentials,
          socket: { ...common.socket, ...(secure && { tls: true as const }) },
        },
      })
    : createClient({ ...common, url: options.urls[0] ?? "" });
  let reason: string | undefined;
  const failed = (error: Error): void => {
    reason = reasonOf(error);
    options.onConnectionError(reason);
  };
  client.on("error", failed);
  // What one node of a cluster does while the others go on.
  client.on("node-error", failed);
  try {
    await withDeadline<unknown>(client.connect(), CONNECT_MS * 2);
  } catch (thrown) {
    client.destroy();
    const why = reason ?? reasonOf(thrown as Error);
    throw new WeirError("unavailable", `Redis cannot be reached: ${why}`, thrown);
  }
  const commands = client as unknown as RedisCommands & { get(key: string): Promise<Buffer | null> };
  const bytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }) as unknown as typeof commands;
  return Object.assign(commands, { getBytes: (key: string) => bytes.get(key) });
}

/** Rejects after `ms`; what was asked may still happen. */
export function withDeadline<T>(work: Promise<T>, ms: number): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
    const settled = (): void => clearTimeout(timer);
    work.then(resolve, reject);
    work.then(settled, settled);
  });
}
