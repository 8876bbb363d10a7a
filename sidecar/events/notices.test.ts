/** A notice on its way to several places: told when all have it, and again only to those that have not. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { noticeIdOf, noticeOf } from "../ledger/types.ts";
import { noticeTeller, type Place, type ToldNotice, toldNotice } from "./notices.ts";
import { Pseudonyms } from "./pseudonyms.ts";

const pseudonyms = new Pseudonyms("a key of the test, long");
const notice = noticeOf(noticeIdOf(Date.UTC(2026, 10, 21), 80, "lease-1", "acme|month|tokens|month||0"));

describe("a notice", () => {
  it("is told when every place has it, and repeated only to those that have not", async () => {
    const lines: ToldNotice[] = [];
    const webhooks: ToldNotice[] = [];
    let works = false;
    const line: Place = (told, settled) => {
      lines.push(told);
      settled("delivered");
    };
    const webhook: Place = (told, settled) => {
      webhooks.push(told);
      settled(works ? "delivered" : "failed");
    };
    const tell = noticeTeller([line, webhook], pseudonyms);
    assert.equal(await tell(notice), false);
    works = true;
    assert.equal(await tell(notice), true);
    assert.equal(lines.length, 1);
    assert.deepEqual(webhooks[0], webhooks[1]);
  });

  it("without a place to go to is told: its metric and the sidecar's log have it", async () => {
    assert.equal(await noticeTeller([], pseudonyms)(notice), true);
  });

  it("has an id that is the same in every process, and another for each crossing", () => {
    const other = new Pseudonyms("");
    const again = noticeOf(noticeIdOf(notice.at + 1, 80, "lease-1", "acme|month|tokens|month||0"));
    assert.equal(toldNotice(notice, pseudonyms).id, toldNotice(notice, other).id);
    assert.notEqual(toldNotice(notice, other).id, toldNotice(again, other).id);
    assert.match(toldNotice(notice, other).id, /^[0-9a-f]{32}$/);
  });
});
