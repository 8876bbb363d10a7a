// All memory that Weir owns is reserved here, once, before the first request.
//
// The filter runs on AssemblyScript's `stub` runtime, whose bump allocator never frees. So every table and
// buffer takes its space with `reserve` while the module starts or a policy is configured; the test build
// replaces the allocator by one that traps while a request is served, which proves that nothing else does.

// Attached packs claim their place before anything else does.
import "./packs";

/** Reserves `size` zeroed bytes, 16-byte aligned, for the life of the VM. Only at start or configuration. */
export function reserve(size: usize): usize {
  const ptr = heap.alloc(size);
  memory.fill(ptr, 0, size);
  return ptr;
}
