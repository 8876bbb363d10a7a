/**
 * A budget's notice on its way to people: a line, a log record and a webhook, whichever there are. It is told when all of
 * them have it; until then the ledger keeps it, and it is told again to those that have not, by this sidecar or another.
 * So each place may get it more than once, and always with the same id: a hash of the ledger's, which names nobody.
 *
 * An anonymous caller's subject is an address: it leaves as a pseudonym. Others name who has to act.
 *
 * Bounds: PARTLY_MAX notices of which some places have been told; the oldest is forgotten, and told them again.
 */
import { createHash } from "node:crypto";
import type { Notice } from "../ledger/types.ts";
import type { Pseudonyms } from "./pseudonyms.ts";
import type { Outcome } from "./queue.ts";

const PARTLY_MAX = 1_000;
const ID_BYTES = 16;

/** What leaves the sidecar. */
export interface ToldNotice {
  readonly id: string;
  readonly timeMs: number;
  readonly budget: string;
  readonly subject: string;
  readonly percent: number;
}

/** Somewhere that notices go to; `settled` is called once. */
export type Place = (notice: ToldNotice, settled: (outcome: Outcome) => void) => void;

export function toldNotice({ id, at, budget, subject, percent }: Notice, pseudonyms: Pseudonyms): ToldNotice {
  const isAddress = subject.startsWith("anonymous/");
  return {
    id: createHash("sha256")
      .update(id)
      .digest("hex")
      .slice(0, 2 * ID_BYTES),
    timeMs: at,
    budget,
    subject: isAddress ? `anonymous/${pseudonyms.of("subject", subject)}` : subject,
    percent,
  };
}

/** Tells a notice to every place that does not have it yet; true when all have it. */
export function noticeTeller(
  places: readonly Place[],
  pseudonyms: Pseudonyms,
): (notice: Notice) => Promise<boolean> {
  const partly = new Map<string, Set<Place>>();
  return async (notice) => {
    const told = toldNotice(notice, pseudonyms);
    const have = partly.get(notice.id) ?? new Set();
    await Promise.all(
      places
        .filter((place) => !have.has(place))
        .map(
          (place) =>
            new Promise<void>((resolve) => {
              place(told, (outcome) => {
                if (outcome === "delivered") have.add(place);
                resolve();
              });
            }),
        ),
    );
    partly.delete(notice.id);
    if (have.size === places.length) return true;
    partly.set(notice.id, have);
    if (partly.size > PARTLY_MAX) partly.delete(partly.keys().next().value as string);
    return false;
  };
}
