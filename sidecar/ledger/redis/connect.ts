/**
 * The connection to Redis or Redis Cluster, narrowed to the few commands the ledger needs. Both clients have them.
 *
 * While the connection is away, commands fail at once instead of queueing: the edge has a policy for an outage, and a
 * reply that comes after its deadline helps nobody. Reconnecting backs off from 50 ms to 2 s, with jitter so that many
 * sidecars do not come back in step.
 *
 * A machine that vanishes or hangs closes no connection, and the kernel would go on sending to it for a quarter of an hour:
 * a client that is silent for 2 to 4 s is replaced by a new one, as soon as that has connected. Until then commands to a
 * silent node fail at once: others travel with them, such as the reports of organisations on nodes that answer.
 *
 * A master that was made a replica keeps its connections, too, and refuses writes for good, while the address may lead to the
 * new master by now: as long as a replica refuses, a new client takes the place of the one that there is, every 2 s.
 */
import { createClient, createCluster, ErrorReply, RESP_TYPES, TimeoutError } from "redis";
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
  sAdd(key: string, member: string): Promise<number>;
  sMembers(key: string): Promise<string[]>;
  zRange(key: string, start: number, stop: number): Promise<string[]>;
  zRem(key: string, members: string[]): Promise<number>;
  lRange(key: string, start: number, stop: number): Promise<string[]>;
  /** Keys that are never there: of a cluster one on each node that has slots, as far as is known, else one. */
  readyKeys(): string[];
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
const WATCH_MS = 2_000;
/** Nothing came and nothing was sent: nobody looks after it, as of one with which the nodes of a cluster are asked for. */
const SOCKET_MS = 10_000;
/** A node that is away so long may have been replaced: the others are asked who has its slots. */
const TOPOLOGY_MS = 1_000;

/** How long to wait before the next try to connect, in ms. */
export function backoff(retries: number): number {
  const ceiling = Math.min(BACKOFF_MS_MAX, BACKOFF_MS_MIN * 2 ** Math.min(retries, 10));
  return ceiling / 2 + (Math.random() * ceiling) / 2;
}

/** What Redis says to who is one too many, takes it for a cluster, or names a database that it has not: its code, ERR, would say nothing. */
const IN_WORDS = /^ERR (max number of clients.*|This instance has cluster support.*|DB index is out of.*)$/;

/** Why a connection or a command failed. Of what Redis answers only the code is told: some versions repeat what they were sent, passwords too. */
export function reasonOf(error: Error & { code?: string; reason?: string }): string {
  if (error instanceof ErrorReply)
    return `Redis answered ${(IN_WORDS.exec(error.message) ?? /^[A-Z]+/.exec(error.message))?.at(-1) ?? "an error"}`;
  // Of TLS the message is a line of OpenSSL's queue, and the reason what the other side said.
  if (error.code?.startsWith("ERR_SSL_") && error.reason) return `TLS: ${error.reason}`;
  // Of a host with several addresses the error has no message of its own.
  return error.message || error.code || error.name;
}

/** What a replica answers to a write. */
const FROM_REPLICA = /^(READONLY|MASTERDOWN) /;

const READY_KEY = "weir:ready";
const READY_KEYS_MAX = 1_000;

/** The slot of a key: CRC-16/XMODEM of it, or of its tag in braces, modulo the number of slots. */
function slotOf(key: string): number {
  let crc = 0;
  for (const byte of Buffer.from(/\{(.+?)\}/.exec(key)?.[1] ?? key)) {
    crc ^= byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
  }
  return (crc & 0xffff) % 16_384;
}

/** One key for each of the masters. `slots` says whose each slot is. */
function keyOfEach(masters: number, slots: readonly { readonly master: object }[]): string[] {
  const found = new Map<object, string>();
  for (let i = 0; found.size < masters && i < READY_KEYS_MAX; i++) {
    const key = `${READY_KEY}:${i}`;
    const master = slots[slotOf(key)]?.master;
    if (master !== undefined && !found.has(master)) found.set(master, key);
  }
  return [...found.values()];
}

interface Watched {
  readonly isReady: boolean;
  ping(): Promise<unknown>;
}

/** A client of the library, as far as it is used here. */
interface Client extends Omit<RedisCommands, "getBytes"> {
  connect(): Promise<unknown>;
  clusterInfo(): Promise<unknown>;
  get(key: string): Promise<Buffer | null>;
  /** One connection, or one to each master. */
  connections(): (Watched | undefined)[];
  /** That to the node which has a key. */
  connectionOf(key: string): Watched | undefined;
  bytes(): Client;
}

/** `partly`: connects to a node of the cluster when it is first asked, and not to all of them before anything else. */
function makeClient(
  url: string,
  options: ConnectOptions,
  onFailure: (error: Error) => void,
  partly = false,
): Client {
  let ended = false;
  const onError = (error: Error): void => {
    if (!ended) onFailure(error);
  };
  /** What is connecting meanwhile, such as to nodes that a cluster was just found to have, does not go on for ever. */
  const ending =
    <T>(end: () => T) =>
    (): T => {
      ended = true;
      return end();
    };
  const common = {
    disableOfflineQueue: true,
    commandsQueueMaxLength: COMMANDS_WAITING_MAX,
    socket: {
      connectTimeout: CONNECT_MS,
      socketTimeout: SOCKET_MS,
      reconnectStrategy: (retries: number) => (ended ? false : backoff(retries)),
    },
  };
  const { username, password, protocol } = new URL(options.urls[0] ?? "");
  const secure = protocol === "rediss:";
  const credentials = {
    ...(username && { username: decodeURIComponent(username) }),
    ...(password && { password: decodeURIComponent(password) }),
  };
  const typed = { [RESP_TYPES.BLOB_STRING]: Buffer };
  if (!options.cluster) {
    const client = createClient({ ...common, url }).on("error", onError);
    const own = {
      close: ending(client.close.bind(client)),
      destroy: ending(client.destroy.bind(client)),
      connections: () => [client],
      connectionOf: () => client,
      bytes: () => client.withTypeMapping(typed),
      readyKeys: () => [READY_KEY],
    };
    return Object.assign(client, own) as unknown as Client;
  }
  const cluster = createCluster({
    rootNodes: [{ url }],
    topologyRefreshOnReconnectionAttemptStrategy: TOPOLOGY_MS,
    minimizeConnections: partly,
    // Nodes that are discovered have no URL of their own, so they are told here to speak TLS as well.
    defaults: {
      ...common,
      ...credentials,
      socket: { ...common.socket, ...(secure && { tls: true as const }) },
    },
  });
  // What one node does while the others go on is an event of its own.
  cluster.on("error", onError).on("node-error", onError);
  const own = {
    close: ending(cluster.close.bind(cluster)),
    destroy: ending(cluster.destroy.bind(cluster)),
    connections: () => cluster.masters.map(({ client }) => client),
    connectionOf: (key: string) => cluster.slots[slotOf(key)]?.master.client,
    bytes: () => cluster.withTypeMapping(typed),
    readyKeys: () => keyOfEach(cluster.masters.length, cluster.slots),
  };
  return Object.assign(cluster, own) as unknown as Client;
}

/**
 * Of how many nodes with slots a cluster is that this one is of; 0 if of none, or if it does not say: a service may forbid the question.
 * One that is alone, as what stands in front of a cluster may say of itself, answers for all keys.
 */
async function clusterSize(client: Client): Promise<number> {
  const info = await withDeadline(client.clusterInfo(), CONNECT_MS).catch(() => "");
  return Number(/^cluster_size:(\d+)/m.exec(String(info))?.[1] ?? 0);
}

/**
 * Connects, or throws WeirError `unavailable` without ever showing the URL, which may hold a password; also where only one of several
 * nodes would be asked: it has some organisations, and refuses all others.
 */
export async function connect(options: ConnectOptions): Promise<RedisCommands> {
  let reason: string | undefined;
  const failed = (error: Error): void => {
    reason = reasonOf(error);
    options.onConnectionError(reason);
  };
  const urls = options.cluster ? options.urls : options.urls.slice(0, 1);
  const open = (partly = false) => openedFirst(urls.map((url) => makeClient(url, options, failed, partly)));
  const first = open().catch((thrown) => {
    // One node that is away must not keep a sidecar from those that are not.
    if (options.cluster) return open(true);
    throw thrown;
  });
  let client: Client;
  try {
    client = await first;
  } catch (thrown) {
    const why = reason ?? reasonOf(thrown as Error);
    throw new WeirError("unavailable", `Redis cannot be reached: ${why}`, thrown);
  }
  const nodes = options.cluster ? 0 : await clusterSize(client);
  if (nodes <= 1) return new Connection(client, open, failed);
  client.destroy();
  throw new WeirError(
    "unavailable",
    `Redis cannot be used: it is a node of a cluster of ${nodes}: expected WEIR_REDIS_CLUSTER=1`,
  );
}

/**
 * The first of them that opens; the others end. Each has its own node to ask for those of the cluster: were they asked one after
 * another, by one client, each that hangs would cost seconds.
 */
async function openedFirst(clients: readonly Client[]): Promise<Client> {
  const opening = clients.map((client) => ({ client, connected: opened(client) }));
  try {
    const first = await Promise.any(opening.map(({ connected }) => connected));
    for (const { client, connected } of opening) if (client !== first) end(client, connected);
    return first;
  } catch (thrown) {
    throw (thrown as AggregateError).errors[0];
  }
}

async function opened(client: Client): Promise<Client> {
  const connecting = client.connect();
  try {
    await withDeadline(connecting, CONNECT_MS * 2);
    return client;
  } catch (thrown) {
    end(client, connecting);
    throw thrown;
  }
}

/** Ends a client that is connecting; again once it has: a node that answers only then lets it connect to all of them. */
function end(client: Client, connecting: Promise<unknown>): void {
  const destroy = (): void => client.destroy();
  destroy();
  connecting.then(destroy, destroy);
}

/** A connection that has not answered since it was last asked. */
interface Asked {
  /** Whether it was ready then. */
  readonly ready: boolean;
  /** It was as it is now a round before, too. */
  readonly silent: boolean;
}

/** A client that answers, and not for a replica, or that another one takes the place of. */
class Connection implements RedisCommands {
  #client: Client;
  #bytes: Client;
  readonly #open: () => Promise<Client>;
  readonly #onError: (error: Error) => void;
  readonly #timer: NodeJS.Timeout;
  readonly #asked = new Map<Watched, Asked>();
  /** A replica refused since the last round. */
  #refused = false;
  #renewing = false;
  #closed = false;

  constructor(client: Client, open: () => Promise<Client>, onError: (error: Error) => void) {
    this.#client = client;
    this.#bytes = client.bytes();
    this.#open = open;
    this.#onError = onError;
    this.#timer = setInterval(() => this.#watch(), WATCH_MS);
    this.#timer.unref();
  }

  evalSha = (sha: string, call: ScriptCall) =>
    this.#send(call.keys[0], (client) => client.evalSha(sha, call));
  eval = (source: string, call: ScriptCall) =>
    this.#send(call.keys[0], (client) => client.eval(source, call));
  getBytes = (key: string) => this.#send(key, () => this.#bytes.get(key));
  sAdd = (key: string, member: string) => this.#send(key, (client) => client.sAdd(key, member));
  sMembers = (key: string) => this.#send(key, (client) => client.sMembers(key));
  zRange = (key: string, start: number, stop: number) =>
    this.#send(key, (client) => client.zRange(key, start, stop));
  zRem = (key: string, members: string[]) => this.#send(key, (client) => client.zRem(key, members));
  lRange = (key: string, start: number, stop: number) =>
    this.#send(key, (client) => client.lRange(key, start, stop));
  readyKeys = () => this.#client.readyKeys();

  /** Sends a command to the node that has `key`, unless that is silent. */
  #send<T>(key: string | undefined, command: (client: Client) => Promise<T>): Promise<T> {
    const connection = this.#client.connectionOf(key ?? "");
    const asked = connection && this.#asked.get(connection);
    if (asked?.silent && asked.ready === connection?.isReady)
      return Promise.reject(new Error(`no answer within ${WATCH_MS} ms`));
    return command(this.#client).catch((thrown) => {
      this.#refused ||= thrown instanceof ErrorReply && FROM_REPLICA.test(thrown.message);
      throw thrown;
    });
  }

  close(): Promise<unknown> {
    this.#end();
    return this.#client.close();
  }

  destroy(): void {
    this.#end();
    this.#client.destroy();
  }

  #end(): void {
    this.#closed = true;
    clearInterval(this.#timer);
  }

  /** Asks each connection for a sign of life. One that is as it was a round ago, and has not answered, is silent. */
  #watch(): void {
    let anySilent = false;
    for (const connection of this.#client.connections()) {
      if (connection === undefined) continue;
      const { isReady } = connection;
      const silent = this.#asked.get(connection)?.ready === isReady;
      anySilent ||= silent;
      this.#asked.set(connection, { ready: isReady, silent });
      const heard = (): boolean => this.#asked.delete(connection);
      // What could not even be sent says nothing of who should have had it.
      if (isReady) connection.ping().then(heard, (thrown) => thrown instanceof TimeoutError || heard());
    }
    if (this.#renewing) return;
    if (anySilent) this.#onError(new Error(`no answer within ${WATCH_MS} ms`));
    if (anySilent || this.#refused) void this.#renew();
  }

  async #renew(): Promise<void> {
    this.#renewing = true;
    this.#refused = false;
    // What fails is told; the client that there is goes on trying, too.
    const next = await this.#open().catch(() => undefined);
    this.#renewing = false;
    if (next === undefined) return;
    if (this.#closed) return next.destroy();
    const old = this.#client;
    this.#client = next;
    this.#bytes = next.bytes();
    this.#asked.clear();
    withDeadline(old.close(), CONNECT_MS).catch(() => old.destroy());
  }
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
