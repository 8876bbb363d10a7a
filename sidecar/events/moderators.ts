/**
 * Which moderator is asked about an event. The policy names one, and the name comes with the event; but anybody who
 * reaches the sidecar's port could send an event, so what it says only selects from what the sidecar's operator allows:
 *
 *   event: url, key name ──▶ the entry of the settings with just this URL and just this key name ──▶ its URL, its key
 *                            none ──▶ refused: counted, told once, nobody is called
 *
 * What is called is the entry's own URL, and a key goes nowhere but to the URL that it stands beside in the settings.
 * Each entry has a queue and a breaker of its own, so one moderator that hangs takes nothing from the others.
 *
 * Bounds: the settings' entries; TOLD_MAX different refusals are told.
 */

import type { ModeratorOf, WeirEvent } from "./event.ts";
import { type Flagged, type Moderation, openModeration } from "./moderation.ts";

const TOLD_MAX = 64;

/** What the operator allows: this URL, with this key or with none. */
export interface AllowedModerator {
  /** Empty: it is asked without a key. */
  readonly name: string;
  readonly url: string;
  /** Sent as `Authorization: Bearer`. */
  readonly key: string;
}

export interface ModeratorsOptions {
  readonly allowed: readonly AllowedModerator[];
  readonly onFlagged: (flagged: Flagged) => void;
  /** `refused`: not allowed. */
  readonly onOutcome: (outcome: string, count: number) => void;
  readonly onFailure: (error: unknown) => void;
}

/** As the standard writes a URL, so that two spellings of one are one. */
const idOf = ({ name, url }: { readonly name: string; readonly url: string }): string =>
  `${name} ${URL.canParse(url) ? new URL(url).href : url}`;

/** What is missing in the settings, for the person who can add it. */
const refusalOf = ({ url, key }: ModeratorOf): Error =>
  new Error(
    `the policy's moderator is not allowed here: expected ${key === "" ? "" : `${key}=`}${url} in WEIR_MODERATION_ALLOW`,
  );

export function openModerators(options: ModeratorsOptions): Moderation {
  const { allowed, onOutcome, onFailure } = options;
  const moderators = new Map(
    allowed.map((entry) => [idOf(entry), openModeration({ ...options, url: entry.url, key: entry.key })]),
  );
  const told = new Set<string>();

  const refuse = (moderator: ModeratorOf, id: string): void => {
    onOutcome("refused", 1);
    if (told.has(id) || told.size >= TOLD_MAX) return;
    told.add(id);
    onFailure(refusalOf(moderator));
  };

  return {
    take: (event: WeirEvent) => {
      const { moderator } = event;
      if (moderator === undefined) return;
      const id = idOf({ name: moderator.key, url: moderator.url });
      const found = moderators.get(id);
      if (found) found.take(event);
      else refuse(moderator, id);
    },
    get used() {
      return Math.max(0, ...[...moderators.values()].map(({ used }) => used));
    },
    close: async (graceMs) => {
      await Promise.all([...moderators.values()].map((one) => one.close(graceMs)));
    },
  };
}
