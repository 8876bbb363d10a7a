/**
 * Structured log lines: one JSON object a line, to stdout or to a file that is only ever appended to (so that a rotation
 * that copies and truncates works). Members are named as in proto/weir/v1/events.proto, with `type` in front; what an event has
 * not is left out.
 *
 * Bounds: QUEUE_MAX lines wait; a disk or reader that does not keep up loses the newest.
 */
import { createWriteStream } from "node:fs";
import { finished } from "node:stream/promises";
import { systemReason, WeirError } from "../errors.ts";
import type { WeirEvent } from "./event.ts";
import { type Outcome, Queue } from "./queue.ts";

const QUEUE_MAX = 10_000;
const BATCH = 256;

/** Something that happened, for people and for log stores: its type, and what is known of it. */
export interface Told {
  readonly type: string;
  readonly [name: string]: unknown;
}

export interface Lines {
  /** The share of the queue that is taken. */
  readonly used: number;
  write(told: Told, settled?: (outcome: Outcome) => void): void;
  close(graceMs: number): Promise<void>;
}

/** "camelCase" as "snake_case". */
export const snake = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

const isEmpty = (value: unknown): boolean =>
  value === "" || value === 0 || value === false || (Array.isArray(value) && value.length === 0);

/** Members of an event as they are told: without those that say nothing. */
export function toldOf(event: WeirEvent): Told {
  const { id, endMs, moderator: _, ...rest } = event;
  const members = Object.entries(rest).filter(([, value]) => !isEmpty(value));
  return {
    type: "request",
    id,
    time: new Date(endMs).toISOString(),
    ...Object.fromEntries(members.map(([name, value]) => [snake(name), value])),
  };
}

/** Opens the log: "-" is stdout. Rejects with WeirError `unavailable` when the file cannot be written. */
export async function openLines(
  path: string,
  onOutcome: (outcome: Outcome, count: number) => void,
): Promise<Lines> {
  const stream = path === "-" ? process.stdout : createWriteStream(path, { flags: "a", mode: 0o640 });
  if (stream !== process.stdout) {
    await new Promise<void>((resolve, reject) => {
      stream.once("ready", resolve);
      stream.once("error", (error) =>
        reject(
          new WeirError(
            "unavailable",
            `the file of events ${path} cannot be written: ${systemReason(error)}`,
            error,
          ),
        ),
      );
    });
    // Each write tells its own error.
    stream.on("error", () => undefined);
  }
  const queue = new Queue<string>({
    max: QUEUE_MAX,
    batch: BATCH,
    deliver: (lines) =>
      new Promise((resolve, reject) => {
        stream.write(`${lines.join("\n")}\n`, (error) => (error ? reject(error) : resolve()));
      }),
    onOutcome,
  });
  return {
    get used() {
      return queue.used;
    },
    write: (told, settled) => queue.push(JSON.stringify(told), settled),
    close: async (graceMs) => {
      await queue.close(graceMs);
      if (stream === process.stdout) return;
      stream.end();
      await finished(stream).catch(() => undefined);
    },
  };
}
