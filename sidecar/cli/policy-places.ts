// Where in a file the member stands that a JSON pointer names, so that an editor finds it.
import { type Document, isAlias, isMap, isScalar, isSeq, type Node, type Pair, type YAMLMap } from "yaml";

/** The first byte of what `pointer` names in `document`, or of the nearest thing around it. */
export function placeOf(document: Document, pointer: string): number {
  let node: unknown = document.contents;
  let at = startOf(node) ?? 0;
  for (const token of pointer.split("/").slice(1)) {
    const name = token.replaceAll("~1", "/").replaceAll("~0", "~");
    node = isAlias(node) ? node.resolve(document) : node;
    let next: unknown;
    if (isMap(node)) {
      const pair = pairOf(node, name, document);
      at = startOf(pair?.key) ?? at;
      next = pair?.value;
    } else if (isSeq(node)) {
      next = node.items[Number(name)];
      at = startOf(next) ?? at;
    }
    node = next;
  }
  return at;
}

function startOf(node: unknown): number | undefined {
  return (node as Node | undefined)?.range?.[0];
}

/** The member of `map` by that name: its own, else of the maps that are merged into it (`<<`). */
function pairOf(map: YAMLMap, name: string, document: Document): Pair | undefined {
  const keyOf = ({ key }: Pair) => (isScalar(key) ? key.value : key);
  const own = map.items.find((pair) => String(keyOf(pair)) === name);
  if (own) return own;
  for (const pair of map.items) {
    if (keyOf(pair) !== "<<" && typeof keyOf(pair) !== "symbol") continue;
    for (const source of isSeq(pair.value) ? pair.value.items : [pair.value]) {
      const merged = isAlias(source) ? source.resolve(document) : source;
      const found = isMap(merged) ? pairOf(merged, name, document) : undefined;
      if (found) return found;
    }
  }
  return undefined;
}
