// The filter with a look into its pools, for tests that must know whether anything leaks.
import { acquiresInFlight } from "../../assembly/budget/acquire";
import { heldCount } from "../../assembly/budget/held";
import { calloutsInFlight } from "../../assembly/proxy-wasm/callouts";
import { recordsFree } from "../../assembly/redact/records";
import { redactionsFree } from "../../assembly/response-redact-slot";
import { streamsOpen } from "../../assembly/stream";
import { statesFree } from "../../assembly/usage/state";

export * from "../../assembly/index";
export {
  acquiresInFlight,
  calloutsInFlight,
  heldCount,
  recordsFree,
  redactionsFree,
  statesFree,
  streamsOpen,
};
