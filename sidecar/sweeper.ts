/**
 * Looks for what nobody asks for any more: dead leases of organisations that have gone quiet, and notices that nobody told. (An
 * organisation that asks has its dead leases resolved with each Acquire.) One after the other, so that commands of proxies find
 * room between them.
 *
 * Where a round found nothing, the next QUIET_ROUNDS - 1 pass an organisation over: most of many thousands are quiet at any time. When
 * they are first met they are dealt out evenly over the rounds.
 *
 * Bounds: a number for each organisation; LIMITS.sweepPerCommand leases per command.
 */
import { WeirError } from "./errors.ts";
import { type Ledger, LIMITS } from "./ledger/types.ts";
import type { Teller } from "./notices.ts";

/** With rounds of 5 s a minute, which is how long a lease lives without a report. */
export const QUIET_ROUNDS = 12;

export interface SweeperOptions {
  readonly ledger: Pick<Ledger, "organisations" | "sweep">;
  readonly teller: Pick<Teller, "take" | "leftovers">;
  /** How many notices nobody has told, after each round. */
  readonly onUntold?: ((notices: number) => void) | undefined;
  readonly onError?: ((error: WeirError) => void) | undefined;
}

export class Sweeper {
  readonly #options: SweeperOptions;
  /** The round in which a quiet organisation is looked at again. */
  #due = new Map<string, number>();
  #round = 0;
  #running: Promise<void> | undefined;
  #stopping = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: SweeperOptions) {
    this.#options = options;
  }

  /** One round; the one that is under way, if there is one. */
  round(): Promise<void> {
    this.#running ??= this.#sweepAll()
      .catch((thrown) => this.#options.onError?.(WeirError.from(thrown)))
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  /** A round each `intervalMs`, the first at once: the process before this one may have died with something to tell. */
  start(intervalMs: number): void {
    this.round();
    this.#timer = setInterval(() => this.round(), intervalMs);
    this.#timer.unref();
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    this.#stopping = true;
    await this.#running;
  }

  async #sweepAll(): Promise<void> {
    const round = this.#round++;
    const due = new Map<string, number>();
    let left = 0;
    let failure: unknown;
    for (const [i, organisation] of (await this.#options.ledger.organisations()).entries()) {
      const rests = this.#due.get(organisation);
      if (rests !== undefined && rests > round) {
        due.set(organisation, rests);
        continue;
      }
      try {
        const { found, untold } = await this.#sweep(organisation);
        left += untold;
        if (!found)
          due.set(organisation, round + (rests === undefined ? 1 + (i % QUIET_ROUNDS) : QUIET_ROUNDS));
      } catch (thrown) {
        // One organisation's node may be away while those of others are not.
        failure = thrown;
      }
    }
    this.#due = due;
    if (failure !== undefined) throw failure;
    this.#options.onUntold?.(left);
  }

  async #sweep(organisation: string): Promise<{ found: boolean; untold: number }> {
    let found = false;
    while (!this.#stopping) {
      const { expired, untold, notices } = await this.#options.ledger.sweep(organisation);
      this.#options.teller.take(notices);
      found ||= expired > 0 || untold > 0;
      if (expired === LIMITS.sweepPerCommand) continue;
      if (untold > 0) await this.#options.teller.leftovers(organisation);
      return { found, untold };
    }
    return { found, untold: 0 };
  }
}
