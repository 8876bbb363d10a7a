/**
 * One process per directory, told by the kernel: a lock that dies with its holder, however that ends.
 *
 * Each holder listens on a Unix socket of its own in the directory, *before* it looks for those of others. One that
 * answers is alive: then the newcomer steps back. One that does not was left behind by a kill: it is removed. Of two that
 * start at once at least one sees the other; both may step back, never may both go on. A file with a process id could
 * not tell: ids are used again, and each container has its own.
 *
 * Bounds: processes of one machine; a path of at most 100 bytes, absolute or from the working directory (a socket's
 * address holds 103 on some systems, and would be cut without a word).
 */
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { join, relative, resolve } from "node:path";
import { WeirError } from "../errors.ts";

const NAME = /^lock-[0-9a-f]{16}$/;
const PATH_BYTES_MAX = 100;

export interface Lock {
  release(): Promise<void>;
}

function address(directory: string, name: string): string {
  const absolute = join(resolve(directory), name);
  const fromHere = relative(process.cwd(), absolute);
  const shorter = fromHere.length < absolute.length ? fromHere : absolute;
  if (Buffer.byteLength(shorter) > PATH_BYTES_MAX)
    throw new WeirError(
      "invalid_argument",
      `the ledger's directory ${directory}: expected a path of at most ${PATH_BYTES_MAX - name.length - 1} bytes`,
    );
  return shorter;
}

/** Whether somebody listens there. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}

function listen(path: string): Promise<Server> {
  const server = createServer((socket) => socket.destroy());
  server.unref();
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => resolve(server));
  });
}

/** Throws WeirError `unavailable` if another process, or this one, has the directory. */
export async function lockDirectory(directory: string): Promise<Lock> {
  const own = `lock-${randomBytes(8).toString("hex")}`;
  const server = await listen(address(directory, own));
  // Closing a server removes its socket.
  const release = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  for (const name of readdirSync(directory)) {
    if (name === own || !NAME.test(name)) continue;
    if (await answers(address(directory, name))) {
      await release();
      throw new WeirError("unavailable", `${directory} is in use by another process`);
    }
    rmSync(join(directory, name), { force: true });
  }
  return { release };
}
