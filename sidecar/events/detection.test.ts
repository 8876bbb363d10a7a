/** Events are watched: a flood among ordinary callers is found, and told under the caller's pseudonym alone. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { type Found, openDetection } from "./detection.ts";
import { eventOf } from "./event.ts";
import { Pseudonyms } from "./pseudonyms.ts";
import { soundEvent } from "./testing.ts";

const MINUTE_MS = 60_000;
const pseudonyms = new Pseudonyms("a key of the test, long");

describe("detection in events", () => {
  it("pages for a flood, of the key, its organisation and its address, and for nobody else", () => {
    const found: Found[] = [];
    const detection = openDetection((one) => void found.push(one));
    const start = Math.floor(Date.now() / MINUTE_MS) * MINUTE_MS - 60 * MINUTE_MS;
    const send = (timeMs: number, caller: number) => {
      const subject = `org-${caller}/team/key`;
      const address = Buffer.from(
        `00000000000000000000ffff0a0000${caller.toString(16).padStart(2, "0")}`,
        "hex",
      );
      detection.take(eventOf(soundEvent({ ageMs: 0, subject, address }), "e-1", timeMs, pseudonyms));
    };
    for (let minute = 0; minute < 45; minute++) {
      const rows: [number, number][] = [];
      for (let caller = 1; caller <= 8; caller++)
        for (let i = 0; i < 6; i++) rows.push([((i * 7 + caller * 3 + minute) % 60) * 1_000, caller]);
      if (minute === 40) for (let i = 0; i < 600; i++) rows.push([i * 100, 3]);
      for (const [offset, caller] of rows.sort((a, b) => a[0] - b[0]))
        send(start + minute * MINUTE_MS + offset, caller);
    }
    detection.close();
    const pages = found.filter(({ severity }) => severity === "page");
    const names = {
      key: pseudonyms.of("subject", "org-3/team/key"),
      organisation: pseudonyms.of("subject", "org-3"),
      address: pseudonyms.of("address", Buffer.from("00000000000000000000ffff0a000003", "hex")),
    };
    assert.deepEqual(
      new Set(pages.map(({ kind, name }) => `${kind} ${name}`)),
      new Set(Object.entries(names).map(([kind, name]) => `${kind} ${name}`)),
    );
    assert.ok(pages.every((page) => page.class === "flood"));
    const first = pages.find(({ window }) => window === "1m");
    assert.equal(first?.start, new Date(start + 40 * MINUTE_MS).toISOString());
    assert.equal(JSON.stringify(found).includes("org-3"), false);
  });
});
