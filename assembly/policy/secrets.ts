// Where a policy is wrong a secret may stand in the wrong place: a key where its digest belongs, a password in an address. The
// lines that refuse it go into logs, so what may be one is not repeated there.
import { contains, indexOf, lenOf, ptrOf, Slice, startsWith, sub } from "../slice";

const KEYS = "/keys";
const SLASH: u8 = 47;
const AT: u8 = 64;

/** Whether `value`, shortened JSON that does not fit its place at `pointer`, may be a secret. */
export function mayBeSecret(pointer: Slice, value: Slice): bool {
  if (startsWith(value, "{") || startsWith(value, "[")) return false;
  if (hasLogin(value)) return true;
  if (startsWith(pointer, "/events/moderation/")) return !startsWith(pointer, "/events/moderation/model");
  if (!startsWith(pointer, KEYS)) return false;
  const rest = sub(pointer, KEYS.length, lenOf(pointer));
  // Of another member: "/keys…".
  if (lenOf(rest) > 0 && load<u8>(ptrOf(rest)) != SLASH) return false;
  const member = indexOf(rest, SLASH, 1);
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
  return indexOf(value, AT) >= 0 && contains(value, "://");
}
