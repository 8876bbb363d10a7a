// Where the component's `abort` goes: it imports nothing, so it can only trap. No input gets here.

export function abort(
  message: string | null = null,
  file: string | null = null,
  line: u32 = 0,
  column: u32 = 0,
): void {
  unreachable();
}
