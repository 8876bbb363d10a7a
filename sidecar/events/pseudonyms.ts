/**
 * Names that stand for subjects, addresses and answers in everything that leaves the sidecar: HMAC-SHA256 under a key of
 * the installation, the first 128 bits as hexadecimal. Who has the key can make the name of a subject and look for it;
 * nobody else can turn one back, and without a key in the settings it ends with the process.
 *
 *   HMAC-SHA256(key, "subject" ‖ NUL ‖ bytes)        "address" and "answer" likewise, so that no two kinds ever meet
 */
import { createHmac, randomBytes } from "node:crypto";

const BYTES = 16;

export type PseudonymKind = "subject" | "address" | "answer";

export class Pseudonyms {
  readonly #key: Buffer;

  /** An empty key is a random one. */
  constructor(key: string) {
    this.#key = key === "" ? randomBytes(32) : Buffer.from(key);
  }

  of(kind: PseudonymKind, value: string | Uint8Array): string {
    const hmac = createHmac("sha256", this.#key).update(`${kind}\0`).update(value);
    return hmac.digest().subarray(0, BYTES).toString("hex");
  }
}
