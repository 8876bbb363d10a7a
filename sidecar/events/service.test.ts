/** From a report to what leaves the sidecar: acknowledged, told apart, checked, and without a name in it. */
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { EventBatchSchema, RedactionAction, RedactionType, Speaker } from "../gen/weir/v1/events_pb.ts";
import { noticeIdOf, noticeOf } from "../ledger/types.ts";
import { makeMetrics } from "../metrics.ts";
import type { WeirEvent } from "./event.ts";
import { openEvents } from "./open.ts";
import { Pseudonyms } from "./pseudonyms.ts";
import { eventService } from "./service.ts";
import { EVENTS_DEFAULTS, type EventsSettings } from "./settings.ts";
import { SPAN_ID, soundEvent, startScripted, TRACE_ID } from "./testing.ts";

const KEY = "a key of the test, long";
const AT = Date.UTC(2026, 10, 21, 12);

function serviceOf() {
  const events: WeirEvent[] = [];
  const counts: Record<string, number>[] = [];
  const refused: string[] = [];
  const service = eventService(new Pseudonyms(KEY), (event) => void events.push(event), {
    onReport: (one) => void counts.push({ ...one }),
    onRefused: (field) => void refused.push(field),
  });
  const report = (first: bigint, list: ReturnType<typeof soundEvent>[], edge = 7n, dropped = 0n) =>
    service.report(create(EventBatchSchema, { edge, first, dropped, events: list }));
  return { events, counts, refused, report };
}

const nameOf = (kind: string, value: string | Buffer): string =>
  createHmac("sha256", KEY).update(`${kind}\0`).update(value).digest("hex").slice(0, 32);

describe("the events' service", () => {
  it("takes new events once and acknowledges them all", async () => {
    const { events, counts, report } = serviceOf();
    assert.equal((await report(1n, [soundEvent(), soundEvent()])).taken, 2n);
    assert.equal((await report(1n, [soundEvent(), soundEvent(), soundEvent()])).taken, 3n);
    assert.equal((await report(9n, [soundEvent()], 7n, 5n)).taken, 9n);
    assert.deepEqual(
      events.map(({ id }) => id),
      ["1", "2", "3", "9"].map((number) => `0000000000000007-${number}`),
    );
    assert.deepEqual(counts, [
      { taken: 2, known: 0, lost: 0, refused: 0 },
      { taken: 1, known: 2, lost: 0, refused: 0 },
      { taken: 1, known: 0, lost: 5, refused: 0 },
    ]);
  });

  it("names subjects and addresses by a keyed hash, so that only who has the key can look for one", async () => {
    const { events, report } = serviceOf();
    await report(1n, [soundEvent()]);
    const [event] = events;
    assert.equal(event?.subject, nameOf("subject", "acme/search/key-7"));
    assert.equal(event?.organisation, nameOf("subject", "acme"));
    assert.equal(event?.address, nameOf("address", Buffer.from("00000000000000000000ffffcb007107", "hex")));
    assert.equal(JSON.stringify(event).includes("acme"), false);
    const random = new Pseudonyms("");
    assert.notEqual(random.of("subject", "acme"), new Pseudonyms("").of("subject", "acme"));
  });

  it("takes an IPv6 client for its /64", async () => {
    const { events, report } = serviceOf();
    const from = (end: string) =>
      soundEvent({ address: Buffer.from(`20010db800000001${end.padStart(16, "0")}`, "hex") });
    await report(1n, [from("1"), from("2")]);
    assert.equal(events[0]?.address, events[1]?.address);
  });

  it("turns ages into times of its own clock", async () => {
    const { events, report } = serviceOf();
    const before = Date.now();
    await report(1n, [soundEvent({ ageMs: 60_000 })]);
    const end = events[0]?.endMs ?? 0;
    assert.ok(end >= before - 60_000 && end <= Date.now() - 60_000);
  });

  const unsound: [string, Parameters<typeof soundEvent>[0]][] = [
    ["trace_id", { traceId: new Uint8Array(15) }],
    ["span_id", { spanId: new Uint8Array(0) }],
    ["parent_span_id", { parentSpanId: new Uint8Array(7) }],
    ["address", { address: new Uint8Array(4) }],
    ["subject", { subject: "a".repeat(97) }],
    ["tier", { tier: "a\nb" }],
    ["verdict", { verdict: "" }],
    ["shadows", { shadows: ["UPPER"] }],
    ["answer_digest", { answerDigest: new Uint8Array(31) }],
    ["charges", { charges: [{ budget: "x".repeat(129) }] }],
    ["prompt_texts.text", { promptTexts: [{ speaker: Speaker.USER, text: "x".repeat(1_025) }] }],
    ["answer_text", { answerText: "x".repeat(4_097) }],
  ];
  for (const [field, more] of unsound)
    it(`refuses an event whose ${field} is out of bounds, and only that one`, async () => {
      const { events, counts, refused, report } = serviceOf();
      assert.equal((await report(1n, [soundEvent(more), soundEvent()])).taken, 2n);
      assert.deepEqual([events.length, counts[0]?.refused, refused], [1, 1, [field]]);
    });

  for (const [what, edge, first, length] of [
    ["without an edge", 0n, 1n, 1],
    ["that begins at 0", 7n, 0n, 1],
    ["of more than 1,024 events", 7n, 1n, 1_025],
  ] as const)
    it(`refuses a report ${what}`, async () => {
      const { report } = serviceOf();
      const list = Array.from({ length }, () => soundEvent());
      await assert.rejects(report(first, list, edge), (error) => {
        assert.ok(error instanceof ConnectError);
        assert.equal(error.code, Code.InvalidArgument);
        return true;
      });
    });
});

describe("the places where events go", () => {
  const opened = async (settings: Partial<EventsSettings>) => {
    const directory = mkdtempSync(join(tmpdir(), "weir-events-"));
    const file = join(directory, "events.jsonl");
    const registry = makeMetrics("embedded").registry;
    const problems: string[] = [];
    const part = await openEvents(
      { ...EVENTS_DEFAULTS, pseudonymKey: KEY, file, ...settings },
      { registry, onProblem: (what) => void problems.push(what) },
    );
    const report = part.extensions.methods.get("/weir.v1.Events/Report");
    assert.ok(report);
    const { toBinary } = await import("@bufbuild/protobuf");
    return {
      part,
      problems,
      registry,
      send: (list: ReturnType<typeof soundEvent>[]) =>
        report(toBinary(EventBatchSchema, create(EventBatchSchema, { edge: 7n, first: 1n, events: list }))),
      lines: () =>
        readFileSync(file, "utf8")
          .split("\n")
          .filter((line) => line !== "")
          .map((line) => JSON.parse(line)),
      remove: () => rmSync(directory, { recursive: true }),
    };
  };

  it("are JSON lines with the names of events.proto, without what says nothing", async () => {
    const { part, send, lines, remove } = await opened({});
    await send([
      soundEvent({
        redactions: [{ type: RedactionType.EMAIL, action: RedactionAction.REDACT, count: 2 }],
        charges: [{ budget: "month", meter: 2, reserved: 60n, charged: 8n }],
      }),
    ]);
    await part.close();
    const [{ time, ...line }] = lines();
    assert.ok(Math.abs(Date.parse(time) - Date.now() + 1_000) < 10_000);
    assert.deepEqual(line, {
      type: "request",
      id: "0000000000000007-1",
      trace_id: TRACE_ID,
      span_id: SPAN_ID,
      sampled: true,
      request_id: "req-1",
      organisation: nameOf("subject", "acme"),
      subject: nameOf("subject", "acme/search/key-7"),
      address: nameOf("address", Buffer.from("00000000000000000000ffffcb007107", "hex")),
      tier: "pro",
      lane: "interactive",
      api: "chat",
      model: "gpt-4o",
      verdict: "ok",
      status: 200,
      ending: "complete",
      usage: "reported",
      prompt_tokens: 5,
      completion_tokens: 3,
      charges: [{ budget: "month", meter: "tokens", reserved: 60, charged: 8 }],
      duration_us: 250_000,
      first_byte_us: 200_000,
      redactions: [{ type: "email", action: "redact", count: 2 }],
    });
    remove();
  });

  it("tell a budget's notice in the log and by a webhook, and an anonymous caller's address by neither", async () => {
    const receiver = await startScripted();
    const { part, lines, registry, remove } = await opened({
      webhook: { url: receiver.url, secret: "a-secret-of-the-test" },
    });
    const notices = [
      noticeOf(noticeIdOf(AT, 80, "lease-1", "acme/search|month|tokens|month||0")),
      noticeOf(noticeIdOf(AT, 100, "lease-2", "anonymous/203.0.113.7|day|requests|day||0")),
    ];
    assert.deepEqual(await Promise.all(notices.map(part.extensions.tellNotice)), [true, true]);
    await part.close();
    await receiver.close();
    const hidden = `anonymous/${nameOf("subject", "anonymous/203.0.113.7")}`;
    const expected = [
      { budget: "month", subject: "acme/search", percent: 80 },
      { budget: "day", subject: hidden, percent: 100 },
    ];
    assert.deepEqual(
      receiver.received.map(({ body }) => JSON.parse(body).data),
      expected,
    );
    assert.deepEqual(
      lines().map(({ id: _, ...line }) => line),
      expected.map((notice) => ({ type: "budget.notice", ...notice, time: new Date(AT).toISOString() })),
    );
    assert.deepEqual(
      receiver.received.map(({ headers }) => headers["webhook-id"]),
      lines().map(({ id }) => id),
    );
    assert.match(
      await registry.metrics(),
      /weir_sidecar_sink_items_total\{sink="webhook",outcome="delivered"\} 2/,
    );
    remove();
  });

  it("tell what moderation flags as an event of its own, after the fact", async () => {
    const moderator = await startScripted((_, response) => {
      response.end(JSON.stringify({ results: [{ flagged: true, categories: { hate: true } }] }));
    });
    const receiver = await startScripted();
    const { part, send, lines, registry, remove } = await opened({
      moderators: [{ name: "m", url: moderator.url, key: "the-moderators-key-0123" }],
      webhook: { url: receiver.url, secret: "a-secret-of-the-test" },
    });
    await send([soundEvent({ answerText: "something bad", moderator: { url: moderator.url, key: "m" } })]);
    await part.close();
    await Promise.all([moderator.close(), receiver.close()]);
    const [request, flagged] = lines();
    assert.equal(request.answer_text, "something bad");
    assert.equal(request.moderator, undefined, "who was asked is no part of what happened");
    assert.deepEqual(
      [flagged.type, flagged.event, flagged.parts, flagged.categories, flagged.trace_id],
      ["flagged", "0000000000000007-1", "answer", "hate", TRACE_ID],
    );
    const [{ body } = { body: "" }] = receiver.received;
    assert.equal(JSON.parse(body).type, "content.flagged");
    assert.deepEqual(JSON.parse(body).data.categories, ["hate"]);
    assert.match(await registry.metrics(), /weir_sidecar_moderations_total\{outcome="flagged"\} 1/);
    remove();
  });

  it("take nothing from each other: with all of them away a report is acknowledged", async () => {
    const hanging = await startScripted(() => {});
    const { part, send, lines, problems, remove } = await opened({
      moderators: [{ name: "", url: hanging.url, key: "" }],
      webhook: { url: "http://127.0.0.1:9/", secret: "a-secret-of-the-test" },
      otlp: {
        ...EVENTS_DEFAULTS.otlp,
        tracesUrl: `${hanging.url}v1/traces`,
        logsUrl: "http://127.0.0.1:9/v1/logs",
        timeoutMs: 200,
      },
    });
    const moderator = { url: hanging.url };
    await send(Array.from({ length: 1_000 }, () => soundEvent({ answerText: "text", moderator })));
    const told = part.extensions.tellNotice(
      noticeOf(noticeIdOf(AT, 80, "lease-1", "acme|month|tokens|month||0")),
    );
    await part.close();
    await hanging.close();
    assert.equal(await told, false, "the ledger keeps it");
    assert.equal(lines().filter(({ type }) => type === "request").length, 1_000);
    assert.ok(problems.some((what) => what.startsWith("webhook: ")));
    remove();
  });

  it("refuse a file that cannot be written", async () => {
    await assert.rejects(opened({ file: "/nowhere/at/all/events.jsonl" }), {
      code: "unavailable",
      message:
        "the file of events /nowhere/at/all/events.jsonl cannot be written: ENOENT: no such file or directory",
    });
  });
});
