export { closeBlock, openBlock, take } from "../../../assembly/policy/block";
export { reserve } from "../../../assembly/memory";
