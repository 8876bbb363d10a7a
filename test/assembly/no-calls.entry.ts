// A module that does nothing with a request, with the callbacks that Weir has: what Envoy itself needs to run any filter like it.
const CONTINUE: i32 = 0;

export function proxy_abi_version_0_2_1(): void {}

export function proxy_on_memory_allocate(size: i32): usize {
  return 0;
}

export function proxy_on_context_create(context: u32, parent: u32): void {}

export function proxy_on_vm_start(root: u32, size: i32): i32 {
  return 1;
}

export function proxy_on_configure(root: u32, size: i32): i32 {
  return 1;
}

export function proxy_on_request_headers(context: u32, headers: i32, end: i32): i32 {
  return CONTINUE;
}

export function proxy_on_request_body(context: u32, size: i32, end: i32): i32 {
  return CONTINUE;
}

export function proxy_on_response_headers(context: u32, headers: i32, end: i32): i32 {
  return CONTINUE;
}

export function proxy_on_response_body(context: u32, size: i32, end: i32): i32 {
  return CONTINUE;
}

export function proxy_on_log(context: u32): void {}

export function proxy_on_delete(context: u32): void {}
