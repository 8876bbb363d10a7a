/**
 * Signed webhooks, in the form that standardwebhooks.com describes, so that receivers find verifying code in every
 * language:
 *
 *   POST, application/json      {"type":"budget.notice","time":"2026-01-02T03:04:05.678Z","data":{…}}
 *   webhook-id                  the same for every attempt: what was seen before is a repetition. A budget's notice has
 *                               the same whichever sidecar sends it, and after a restart (notices.ts)
 *   webhook-timestamp           seconds since 1970, of the attempt: refuse what is older than a few minutes
 *   webhook-signature           v1,BASE64: HMAC-SHA256 under the secret, of "ID.TIMESTAMP.BODY"
 *
 * The secret is the text of the setting, or, with the prefix whsec_, the bytes that its Base64 stands for. A receiver
 * answers 2xx; anything else is tried again, ATTEMPTS times in all within about two minutes. Redirects are not followed.
 */
import { createHmac, randomUUID } from "node:crypto";
import { type Outcome, Queue } from "./queue.ts";

const QUEUE_MAX = 1_000;
const ATTEMPTS = 6;
const BACKOFF_MS = 2_000;
const TIMEOUT_MS = 5_000;

export interface WebhookOptions {
  readonly url: string;
  readonly secret: string;
  readonly onOutcome: (outcome: Outcome, count: number) => void;
  readonly onFailure: (error: unknown) => void;
  /** The wait after the first failure; for tests. */
  readonly backoffMs?: number;
}

export interface Webhooks {
  /** The share of the queue that is taken. */
  readonly used: number;
  send(type: string, data: object, known?: Known): void;
  close(graceMs: number): Promise<void>;
}

/** Of something that may be sent again by another process. */
export interface Known {
  readonly id: string;
  readonly timeMs: number;
  readonly settled: (outcome: Outcome) => void;
}

interface Message {
  readonly id: string;
  readonly body: string;
}

const PREFIX = "whsec_";

function keyOf(secret: string): Buffer {
  return secret.startsWith(PREFIX) ? Buffer.from(secret.slice(PREFIX.length), "base64") : Buffer.from(secret);
}

/** What `webhook-signature` says of a message. */
function signatureOf(key: Buffer, id: string, timestamp: number, body: string): string {
  return `v1,${createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64")}`;
}

async function post(url: string, key: Buffer, { id, body }: Message): Promise<void> {
  const timestamp = Math.floor(Date.now() / 1_000);
  const response = await fetch(url, {
    method: "POST",
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: {
      "content-type": "application/json",
      "webhook-id": id,
      "webhook-timestamp": String(timestamp),
      "webhook-signature": signatureOf(key, id, timestamp, body),
    },
    body,
  });
  // What it says does not matter.
  await response.body?.cancel();
  if (!response.ok) throw new Error(`the webhook's receiver answered ${response.status}`);
}

export function openWebhooks(options: WebhookOptions): Webhooks {
  const key = keyOf(options.secret);
  const queue = new Queue<Message>({
    max: QUEUE_MAX,
    attempts: ATTEMPTS,
    backoffMs: options.backoffMs ?? BACKOFF_MS,
    deliver: ([message]) => post(options.url, key, message as Message),
    onOutcome: options.onOutcome,
    onFailure: options.onFailure,
  });
  return {
    get used() {
      return queue.used;
    },
    send: (type, data, known) => {
      const time = new Date(known?.timeMs ?? Date.now()).toISOString();
      queue.push(
        { id: known?.id ?? randomUUID(), body: JSON.stringify({ type, time, data }) },
        known?.settled,
      );
    },
    close: (graceMs) => queue.close(graceMs),
  };
}
