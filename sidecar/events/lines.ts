/**
 * Structured log lines: one JSON object a line, to stdout or to a file that is only ever appended to (so that a rotation
 * that copies and truncates works). Members are named as in proto/weir/v1/events.proto, with `type` in front; what an event has
 * not is left out.
 *
 * Bounds: QUEUE_MAX lines wait, as far as queue.ts has room for their characters; a disk or reader that does not keep up loses the newest.
 */
import { constants, openSync } from "node:fs";
import { open, stat } from "node:fs/promises";
import { Socket } from "node:net";
import type { Writable } from "node:stream";
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

/** Where lines go: `write` appends whole lines, and rejects when not all of them are there. */
interface Target {
  write(lines: string): Promise<void>;
  close(): Promise<void>;
}

function streamTo(stream: Writable, close: () => void): Target {
  // Each write tells its own error.
  stream.on("error", () => undefined);
  return {
    write: (lines) =>
      new Promise((resolve, reject) => {
        stream.write(lines, (error) => (error ? reject(error) : resolve()));
      }),
    close: async () => close(),
  };
}

/** As a socket, which waits for its reader in no thread; open to be read as well, so that it does not wait for one to begin with. */
function pipeAt(path: string): Target {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const pipe = new Socket({ fd, readable: false, writable: true });
  return streamTo(pipe, () => void pipe.destroy());
}

/** Whether the file ends within a line, as where its writer died or its disk was full. What is no file has no end. */
async function endsWithinLine(path: string): Promise<boolean> {
  const { size } = await stat(path);
  if (size === 0) return false;
  const file = await open(path, "r").catch(() => undefined);
  const end = await file?.read(Buffer.alloc(1), 0, 1, size - 1);
  await file?.close();
  return end?.buffer.toString() !== "\n";
}

/** Not a stream, which would write no more once a write failed: a disk that was full has room again. */
async function fileAt(path: string): Promise<Target> {
  const file = await open(path, "a", 0o640);
  /** The last write failed, perhaps within a line, also if it was that of a process before: what follows begins one of its own. */
  let isTorn = await endsWithinLine(path);
  return {
    write: async (lines) => {
      const text = isTorn ? `\n${lines}` : lines;
      isTorn = true;
      await file.appendFile(text);
      isTorn = false;
    },
    close: () => file.close(),
  };
}

async function targetAt(path: string): Promise<Target> {
  if (path === "-") return streamTo(process.stdout, () => undefined);
  try {
    const isPipe = (await stat(path).catch(() => undefined))?.isFIFO() === true;
    return await (isPipe ? pipeAt(path) : fileAt(path));
  } catch (error) {
    throw new WeirError(
      "unavailable",
      `the file of events ${path} cannot be written: ${systemReason(error)}`,
      error,
    );
  }
}

/** Opens the log: "-" is stdout. Rejects with WeirError `unavailable` when the file cannot be written. */
export async function openLines(
  path: string,
  onOutcome: (outcome: Outcome, count: number) => void,
  onFailure: (error: unknown) => void,
): Promise<Lines> {
  const target = await targetAt(path);
  const queue = new Queue<string>({
    max: QUEUE_MAX,
    batch: BATCH,
    chars: (line) => line.length,
    deliver: (lines) => target.write(`${lines.join("\n")}\n`),
    onOutcome,
    onFailure: (error) => onFailure(new Error(systemReason(error))),
  });
  return {
    get used() {
      return queue.used;
    },
    write: (told, settled) => queue.push(JSON.stringify(told), settled),
    close: async (graceMs) => {
      await queue.close(graceMs);
      await target.close();
    },
  };
}
