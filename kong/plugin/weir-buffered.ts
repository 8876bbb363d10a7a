// The Kong plugin `weir-buffered`: as `weir`, and it reads answers too, so that budgets settle by real usage, texts are
// redacted and answers carry rate headers. The price is Kong's: with a `response` phase it holds every answer back until
// it is whole, so streams arrive in one piece. Use one of the two on a route, never both.
import type { KongPdk } from "./pdk.ts";
import { Plugin as Streaming } from "./weir.ts";

export { Priority, Schema, Version } from "./weir.ts";

export class Plugin extends Streaming {
  /** Every policy can be served. */
  protected override check(): void {}

  async response(kong: KongPdk): Promise<void> {
    await this.onAnswer(kong);
  }
}
