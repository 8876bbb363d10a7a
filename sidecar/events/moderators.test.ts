/** Whom the sidecar calls: moderators that its operator allows, each with its own key, and nobody else whatever an event says. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { Speaker } from "../gen/weir/v1/events_pb.ts";
import { eventOf, type WeirEvent } from "./event.ts";
import { type AllowedModerator, openModerators } from "./moderators.ts";
import { Pseudonyms } from "./pseudonyms.ts";
import { soundEvent, startScripted } from "./testing.ts";

const pseudonyms = new Pseudonyms("a key of the test, long");
const KEY = "moderation-key-of-the-test";

const eventFor = (url: string, key = "", text = "hello"): WeirEvent =>
  eventOf(
    soundEvent({ promptTexts: [{ speaker: Speaker.USER, text }], moderator: { url, key } }),
    "edge-1",
    0,
    pseudonyms,
  );

const clean = (count: number) => JSON.stringify({ results: Array(count).fill({ flagged: false }) });

function open(allowed: readonly AllowedModerator[]) {
  const counts: Record<string, number> = {};
  const failures: string[] = [];
  const moderators = openModerators({
    allowed,
    onFlagged: () => {},
    onOutcome: (outcome, count) => {
      counts[outcome] = (counts[outcome] ?? 0) + count;
    },
    onFailure: (error) => void failures.push((error as Error).message),
  });
  return { moderators, counts, failures };
}

describe("moderators", () => {
  it("are called where the settings have just what the event names", async () => {
    const server = await startScripted((_, response) => void response.end(clean(1)));
    const { port } = new URL(server.url);
    const { moderators, counts } = open([{ name: "openai", url: server.url, key: KEY }]);
    moderators.take(eventFor(server.url, "openai"));
    // Another spelling of the same URL.
    moderators.take(eventFor(`HTTP://127.0.0.1:${port}`, "openai"));
    await moderators.close(5_000);
    await server.close();
    assert.deepEqual(counts, { clean: 2 });
    assert.deepEqual(
      server.received.map(({ headers }) => headers.authorization),
      [`Bearer ${KEY}`, `Bearer ${KEY}`],
    );
  });

  it("are not called by what anybody could put into an event", async () => {
    const server = await startScripted((_, response) => void response.end(clean(1)));
    const other = await startScripted((_, response) => void response.end(clean(1)));
    const { moderators, counts, failures } = open([
      { name: "openai", url: `${server.url}v1/moderations`, key: KEY },
    ]);
    const asked: [string, string][] = [
      // Another host, with the name of a key that is there.
      [other.url, "openai"],
      ["http://169.254.169.254/latest/meta-data/", ""],
      // Another path of the host that is allowed, and what only begins like it.
      [`${server.url}admin`, "openai"],
      [`${server.url}v1/moderations/../../admin`, "openai"],
      [`${server.url}v1/moderations?x=1`, "openai"],
      // The URL without its key, and with another's.
      [`${server.url}v1/moderations`, ""],
      [`${server.url}v1/moderations`, "second"],
      ["file:///etc/passwd", ""],
      ["not a URL", ""],
    ];
    for (const [url, key] of asked) for (let i = 0; i < 3; i++) moderators.take(eventFor(url, key));
    await moderators.close(1_000);
    await Promise.all([server.close(), other.close()]);
    assert.deepEqual([server.received, other.received], [[], []]);
    assert.deepEqual(counts, { refused: 3 * asked.length });
    // Two of them are one URL, as the standard writes it.
    assert.equal(failures.length, asked.length - 1, "each is told once");
    assert.equal(
      failures[0],
      `the policy's moderator is not allowed here: expected openai=${other.url} in WEIR_MODERATION_ALLOW`,
    );
  });

  it("are not followed to where they redirect", async () => {
    const other = await startScripted((_, response) => void response.end(clean(1)));
    const server = await startScripted((_, response) => {
      response.statusCode = 307;
      response.setHeader("location", other.url);
      response.end();
    });
    const { moderators, counts } = open([{ name: "openai", url: server.url, key: KEY }]);
    moderators.take(eventFor(server.url, "openai"));
    await moderators.close(5_000);
    await Promise.all([server.close(), other.close()]);
    assert.deepEqual([counts, other.received], [{ failed: 1 }, []]);
  });

  it("take nothing from each other: one hangs, the other answers", async () => {
    const hanging = await startScripted(() => {});
    const server = await startScripted((_, response) => void response.end(clean(1)));
    const { moderators, counts } = open([
      { name: "", url: hanging.url, key: "" },
      { name: "", url: server.url, key: "" },
    ]);
    for (let i = 0; i < 700; i++) moderators.take(eventFor(hanging.url));
    for (let i = 0; i < 5; i++) moderators.take(eventFor(server.url));
    while ((counts.clean ?? 0) < 5) await sleep(5);
    assert.equal(counts.dropped, 700 - 501);
    assert.equal(moderators.used, 1, "the fullest queue counts");
    assert.equal(server.received[0]?.headers.authorization, undefined);
    await moderators.close(20);
    await Promise.all([hanging.close(), server.close()]);
  });

  it("are not asked about events that name none", async () => {
    const server = await startScripted();
    const { moderators, counts } = open([{ name: "", url: server.url, key: "" }]);
    moderators.take(
      eventOf(
        soundEvent({ promptTexts: [{ speaker: Speaker.USER, text: "hello" }] }),
        "edge-1",
        0,
        pseudonyms,
      ),
    );
    await moderators.close(1_000);
    await server.close();
    assert.deepEqual([counts, server.received], [{}, []]);
  });
});
