// Which host runs the filter, where that makes a difference: learnt once, while configuring, from what shared data
// does, because no property tells it on every host.
import { Slice } from "../slice";
import { sharedGet, sharedSwap } from "./shared-data";

/**
 * The host is nginx (ngx_wasm_module) and not Envoy: the body comes whole before anything goes upstream; a callout's
 * answer acts on the stream that made the callout and on no other, and never comes once that stream is over; and a
 * pause in the body phase brings the client's content-length back, so that a body must then keep its length.
 */
export let nginx: bool = false;

/** Learns the host. `key` has a value, whose version is not 0: Envoy overwrites it, ngx_wasm_module refuses. */
export function learnHost(key: Slice): void {
  nginx = !sharedSwap(key, sharedGet(key), 0);
}
