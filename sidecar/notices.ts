/**
 * Sees to it that every notice of a budget is told, whatever dies on the way. The ledger keeps a notice with the change
 * that made it; here it is told, and only then taken out of the ledger:
 *
 *   ledger: crossed, kept ──▶ reply ──▶ told ──▶ taken out          the usual way, at once
 *              └── left: its sidecar died, or a place did not take it ──▶ found by a sweep ──▶ told ──▶ taken out
 *
 * What was told and not taken out is told again, with the same id: at least once, and once for a receiver that knows ids.
 * What another sidecar may be telling right now is left to it for `leftMs`; what could not be told rests for RETRY_MS.
 *
 * Bounds: TELLING_MAX notices on their way (others wait in the ledger), KNOWN_MAX ids remembered.
 */
import { WeirError } from "./errors.ts";
import { type Ledger, type Notice, organisationOf } from "./ledger/types.ts";

const TELLING_MAX = 1_000;
const KNOWN_MAX = 10_000;
const RETRY_MS = 60_000;

export interface TellerOptions {
  readonly ledger: Pick<Ledger, "untold" | "told">;
  /** Each notice that this process tells, the first time. */
  readonly onNotices?: ((notices: readonly Notice[]) => void) | undefined;
  /** Resolves with true when it is told, with false when it must be told again. */
  readonly tellNotice?: ((notice: Notice) => Promise<boolean>) | undefined;
  readonly onError?: ((error: WeirError) => void) | undefined;
  /** How long a notice that was found is left to the sidecar that may be telling it. 0 where there is only one. */
  readonly leftMs: number;
  /** For tests: milliseconds that only grow. */
  readonly clock?: () => number;
}

export class Teller {
  readonly #options: TellerOptions;
  readonly #clock: () => number;
  readonly #telling = new Map<string, Promise<void>>();
  /** Ids that `onNotices` has had. */
  readonly #known = new Set<string>();
  /** When to tell what was found, or failed. */
  readonly #due = new Map<string, number>();

  constructor(options: TellerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? (() => performance.now());
  }

  /** Of a reply: nobody else knows of them yet. */
  take(notices: readonly Notice[]): void {
    for (const notice of notices) this.#start(notice);
  }

  /** Tells what is left in the ledger, as far as it is due. */
  async leftovers(organisation: string): Promise<void> {
    for (const notice of await this.#options.ledger.untold(organisation)) {
      const due = this.#due.get(notice.id) ?? this.#remember(notice.id, this.#options.leftMs);
      if (due <= this.#clock()) this.#start(notice);
    }
  }

  /** Resolves when nothing is on its way, or after `graceMs`. */
  async close(graceMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const over = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, graceMs);
    });
    await Promise.race([Promise.all(this.#telling.values()), over]);
    clearTimeout(timer);
  }

  #start(notice: Notice): void {
    const { id } = notice;
    if (this.#telling.has(id) || this.#telling.size >= TELLING_MAX) return;
    if (!this.#known.has(id)) {
      this.#known.add(id);
      if (this.#known.size > KNOWN_MAX) this.#known.delete(this.#known.values().next().value as string);
      this.#options.onNotices?.([notice]);
    }
    const work = this.#tell(notice).finally(() => this.#telling.delete(id));
    this.#telling.set(id, work);
  }

  async #tell(notice: Notice): Promise<void> {
    const { ledger, tellNotice, onError } = this.#options;
    const { id, subject } = notice;
    try {
      const told = (await tellNotice?.(notice)) ?? true;
      if (told) {
        await ledger.told(organisationOf(subject), [id]);
        this.#due.delete(id);
        return;
      }
    } catch (thrown) {
      onError?.(WeirError.from(thrown));
    }
    this.#remember(id, RETRY_MS);
  }

  #remember(id: string, waitMs: number): number {
    const due = this.#clock() + waitMs;
    this.#due.delete(id);
    this.#due.set(id, due);
    if (this.#due.size > KNOWN_MAX) this.#due.delete(this.#due.keys().next().value as string);
    return due;
  }
}
