/**
 * Whether a file is LMDB's own, found out before LMDB opens it: given another, the package ends the whole process instead
 * of telling. What is looked at is what LMDB reads first, the heads of its two meta pages; damage behind them is
 * not found here.
 *
 * Head of a meta page on a 64-bit little-endian machine, as the one that has written the file must be:
 *
 *   0        18      24      28        32                48
 *   │ page … │ flags │ magic │ version │ address, size … │ page size │ …   one after the other
 */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import { WeirError } from "../errors.ts";

const META_BYTES = 168;
const META_FLAG = 8;
const MAGIC = 0xbeefc0de;
const VERSION = 2;
const PAGE_BYTES_MIN = 512;

/** Throws WeirError `unavailable` if something is in the file, and it is not LMDB's; a file that is not there will be made. */
export function checkLmdbFile(path: string): void {
  let file: number;
  try {
    file = openSync(path, "r");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return;
    throw thrown;
  }
  try {
    const { size } = fstatSync(file);
    if (size > 0 && !hasMetaPages(file))
      throw new WeirError(
        "unavailable",
        `${path}: ${size} bytes that are no ledger: expected LMDB's mark at the start of its first two pages. Restore a copy of it, or name another directory`,
      );
  } finally {
    closeSync(file);
  }
}

function hasMetaPages(file: number): boolean {
  const first = metaAt(file, 0);
  const pageBytes = first?.readUInt32LE(48) ?? 0;
  return pageBytes >= PAGE_BYTES_MIN && metaAt(file, pageBytes) !== undefined;
}

/** The meta page at `offset`; undefined when there is none. */
function metaAt(file: number, offset: number): Buffer | undefined {
  const head = Buffer.alloc(META_BYTES);
  if (readSync(file, head, 0, META_BYTES, offset) < META_BYTES) return undefined;
  if ((head.readUInt16LE(18) & META_FLAG) === 0 || head.readUInt32LE(24) !== MAGIC) return undefined;
  return head.readUInt16LE(28) === VERSION ? head : undefined;
}
