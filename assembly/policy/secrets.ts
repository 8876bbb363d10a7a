// Where a policy is wrong a secret may stand in the wrong place: a key where its digest belongs, a password in an address. The
// lines that refuse it go into logs, so what may be one is not repeated there.
import { endOf, indexOf, lenOf, ptrOf, Slice, startsWith, sub } from "../slice";

const KEYS = "/keys";

/** Whether `value`, shortened JSON that does not fit its place at `pointer`, may be a secret. */
export function mayBeSecret(pointer: Slice, value: Slice): bool {
  if (startsWith(value, "{") || startsWith(value, "[")) return false;
  if (hasLogin(value)) return true;
  if (startsWith(pointer, "/events/moderation/")) return !startsWith(pointer, "/events/moderation/model");
  if (!startsWith(pointer, KEYS)) return false;
  const rest = sub(pointer, KEYS.length, lenOf(pointer));
  // Of another member: "/keys…".
  if (lenOf(rest) > 0 && load<u8>(ptrOf(rest)) != 47) return false;
  const member = lenOf(rest) > 0 ? indexOf(rest, 47, 1) : -1;
  return member < 0 || !isOfKnownMember(sub(rest, member, lenOf(rest)));
}

/** Members of a key's entry in which nobody looks for the key. */
function isOfKnownMember(path: Slice): bool {
  return (
    startsWith(path, "/subject") ||
    startsWith(path, "/tier") ||
    startsWith(path, "/lane") ||
    startsWith(path, "/not_before") ||
    startsWith(path, "/expires") ||
    startsWith(path, "/models") ||
    startsWith(path, "/networks")
  );
}

/** A user, and perhaps a password, before a host. */
function hasLogin(value: Slice): bool {
  const at = indexOf(value, 64);
  for (let p = ptrOf(value); at >= 0 && p + 3 <= endOf(value); p++)
    if (load<u8>(p) == 58 && load<u8>(p, 1) == 47 && load<u8>(p, 2) == 47) return true;
  return false;
}
