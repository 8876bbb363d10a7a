// Checks a document against a subset of JSON Schema (schema-rules.ts says which) and reports every problem.
//
// Used for the policy itself and for a route's request schema. Problems inside alternatives are not reported
// one by one: if the kind of the value leaves just one alternative of an `anyOf`, that one's problems are told,
// else what all of them expect. `$ref` may stand beside other keywords; all apply. Lengths are code points.
//
// Bounds: work is at most STEPS_PER_VALUE steps for each value of the document, whatever the schema (alternatives
// inside alternatives could otherwise multiply), and LEVELS_MAX nested calls; a document that needs more is
// refused as "simpler". No memory but the report's.
import { Kind, Tape } from "../json/tape";
import { codePoints, isWhole, sameText, toF64 } from "../json/text";
import { Slice } from "../slice";
import { Writer } from "../writer";
import { Report } from "./schema-report";
import { DENIED, Format, INTEGER, Rules, Slot } from "./schema-rules";
import { describe, describeKeys } from "./schema-text";

export { Report } from "./schema-report";
export { Format } from "./schema-rules";

export const STEPS_PER_VALUE: i32 = 1024;
export const LEVELS_MAX: i32 = 512;

export class Schema {
  private readonly rules: Rules;
  private tape!: Tape;
  private report!: Report;
  /** Above 0 while an alternative is tried: nothing is reported. */
  private trying: i32 = 0;
  private level: i32 = 0;
  private steps: i64 = 0;

  /**
   * Reserves room for a schema of `nodesMax` values and keys, 100 bytes each: construct at module level only. With 0 it
   * only opens what was saved.
   */
  constructor(nodesMax: i32) {
    this.rules = new Rules(nodesMax);
  }

  /** Why `load` answered false: `POINTER: what was expected`. */
  get loadError(): Writer {
    return this.rules.loadError;
  }

  /** The judge of `format`; to be set before `load`. Without one every format is refused. */
  setFormat(format: Format): void {
    this.rules.format = format;
  }

  /** Reads a schema; its text must stay in place. False if anything in it is not supported: see `loadError`. */
  load(ptr: usize, len: i32): bool {
    return this.rules.load(ptr, len);
  }

  /** Takes a schema that `Rules.save` kept at `from`, where it stays while it is used. */
  open(from: usize): void {
    this.rules.open(from);
  }

  /** Adds the problems of `node` and all in it to `report`; their number. A schema must be loaded. */
  check(tape: Tape, node: i32, report: Report): i32 {
    this.tape = tape;
    this.report = report;
    this.trying = 0;
    this.level = 0;
    this.steps = (<i64>tape.length + 16) * STEPS_PER_VALUE;
    const before = report.total;
    this.visit(0, node);
    if (this.steps < 0) {
      report.open(tape, node).text("a simpler document: checking this one takes too long");
      report.close();
    }
    return report.total - before;
  }

  private visit(r: i32, n: i32): bool {
    if (--this.steps < 0) return false;
    if (this.level >= LEVELS_MAX) {
      this.steps = -1;
      return false;
    }
    this.level++;
    const ok = this.typed(r, n) && this.every(r, n);
    this.level--;
    return ok;
  }

  private every(r: i32, n: i32): bool {
    const rules = this.rules;
    const ref = rules.get(r, Slot.Ref);
    let ok = ref < 0 || this.visit(ref, n);
    if (!this.listed(r, n)) return this.fail(r, n);
    switch (this.tape.kind(n)) {
      case Kind.Object:
        ok = this.members(r, n) && ok;
        break;
      case Kind.Array:
        ok = this.items(r, n) && ok;
        break;
      case Kind.String:
        ok = this.text(r, n) && ok;
        break;
      case Kind.Number:
        ok = this.number(r, n) && ok;
        break;
    }
    return this.alternatives(r, n) && ok;
  }

  /** Whether a problem is to be put into words: wording takes much longer than finding, so only while there is room. */
  private tells(): bool {
    if (this.trying) return false;
    if (this.report.full) this.report.total++;
    return !this.report.full;
  }

  private fail(r: i32, n: i32): bool {
    if (this.tells()) {
      describe(this.rules, r, this.report.open(this.tape, n));
      this.report.close();
    }
    return false;
  }

  private accepts(mask: i32, n: i32): bool {
    const kind = this.tape.kind(n);
    if (!mask || mask & (1 << kind)) return true;
    return kind == Kind.Number && (mask & INTEGER) != 0 && isWhole(this.tape.raw(n));
  }

  private typed(r: i32, n: i32): bool {
    return this.accepts(this.rules.get(r, Slot.Types), n) || this.fail(r, n);
  }

  private equal(mine: i32, n: i32): bool {
    const schema = this.rules.tape;
    const tape = this.tape;
    const kind = tape.kind(n);
    if (schema.kind(mine) != kind) return false;
    if (kind == Kind.String)
      return sameText(schema.raw(mine), schema.escaped(mine), tape.raw(n), tape.escaped(n));
    if (kind == Kind.Number) return toF64(schema.raw(mine)) == toF64(tape.raw(n));
    return true;
  }

  /** `const` and `enum`. */
  private listed(r: i32, n: i32): bool {
    const only = this.rules.get(r, Slot.Const);
    if (only >= 0 && !this.equal(only, n)) return false;
    const choices = this.rules.get(r, Slot.Enum);
    if (choices < 0) return true;
    const schema = this.rules.tape;
    for (let c = schema.first(choices); c >= 0; c = schema.next(c)) {
      this.steps--;
      if (this.equal(c, n)) return true;
    }
    return false;
  }

  private number(r: i32, n: i32): bool {
    const schema = this.rules.tape;
    const least = this.rules.get(r, Slot.Minimum);
    const most = this.rules.get(r, Slot.Maximum);
    if (least < 0 && most < 0) return true;
    const value = toF64(this.tape.raw(n));
    if (least >= 0 && value < toF64(schema.raw(least))) return this.fail(r, n);
    if (most >= 0 && value > toF64(schema.raw(most))) return this.fail(r, n);
    return true;
  }

  private text(r: i32, n: i32): bool {
    const tape = this.tape;
    const least = this.rules.get(r, Slot.MinLength);
    const most = this.rules.get(r, Slot.MaxLength);
    if (least >= 0 || most >= 0) {
      const length = codePoints(tape.raw(n), tape.escaped(n));
      if (length < least || (most >= 0 && length > most)) return this.fail(r, n);
    }
    const format = this.rules.get(r, Slot.Format);
    if (format < 0) return true;
    const expected = this.rules.format(this.rules.tape.raw(format), tape.raw(n), tape.escaped(n));
    if (!expected) return true;
    if (this.tells()) {
      this.report.open(tape, n).text(expected);
      this.report.close();
    }
    return false;
  }

  private items(r: i32, n: i32): bool {
    const count = this.tape.count(n);
    const most = this.rules.get(r, Slot.MaxItems);
    if (count < this.rules.get(r, Slot.MinItems) || (most >= 0 && count > most)) return this.fail(r, n);
    const items = this.rules.get(r, Slot.Items);
    if (items < 0) return true;
    let ok = true;
    for (let child = this.tape.first(n); child >= 0; child = this.tape.next(child)) {
      ok = this.visit(items, child) && ok;
      if (!ok && this.trying) return false;
    }
    return ok;
  }

  private members(r: i32, n: i32): bool {
    const rules = this.rules;
    const tape = this.tape;
    let ok = this.required(r, n);
    const additional = rules.get(r, Slot.Additional);
    const properties = rules.get(r, Slot.Properties);
    if (properties < 0 && additional == -1) return ok;
    const cost = properties < 0 ? 0 : rules.tape.count(properties) >> 3;
    for (let child = tape.first(n); child >= 0; child = tape.next(child)) {
      if (!ok && this.trying) return false;
      this.steps -= cost;
      const key = tape.key(child);
      const property = rules.property(r, key, tape.keyEscaped(child));
      if (property >= 0) ok = this.visit(rules.recordOf(property), child) && ok;
      else if (additional >= 0) ok = this.visit(additional, child) && ok;
      else if (additional == DENIED) ok = this.unknown(r, child, key);
    }
    return ok;
  }

  private unknown(r: i32, n: i32, key: Slice): bool {
    if (this.tells()) {
      describeKeys(this.rules, r, key, this.report.open(this.tape, n));
      this.report.close();
    }
    return false;
  }

  private required(r: i32, n: i32): bool {
    const names = this.rules.get(r, Slot.Required);
    if (names < 0) return true;
    const schema = this.rules.tape;
    let ok = true;
    for (let name = schema.first(names); name >= 0; name = schema.next(name)) {
      this.steps -= 1 + (this.tape.count(n) >> 3);
      if (this.tape.memberBytes(n, schema.raw(name), schema.escaped(name)) >= 0) continue;
      ok = false;
      if (this.trying) break;
      if (!this.tells()) continue;
      this.report.open(this.tape, n).text('an object with "').bytes(schema.raw(name)).text('"');
      this.report.close();
    }
    return ok;
  }

  private alternatives(r: i32, n: i32): bool {
    const anyOf = this.rules.get(r, Slot.AnyOf);
    if (anyOf < 0) return true;
    const schema = this.rules.tape;
    let fitting = 0;
    let last = -1;
    this.trying++;
    for (let a = schema.first(anyOf); a >= 0; a = schema.next(a)) {
      const alternative = this.rules.recordOf(a);
      if (this.visit(alternative, n)) {
        this.trying--;
        return true;
      }
      if (this.accepts(this.typesOf(alternative), n)) {
        fitting++;
        last = alternative;
      }
    }
    this.trying--;
    if (this.trying) return false;
    // A word that is none of a list may have been meant for another alternative: `5%` for `{ allowance: 5% }`.
    return fitting == 1 && this.rules.get(last, Slot.Enum) < 0 ? this.visit(last, n) : this.fail(r, n);
  }

  /** The types that a schema object allows, by itself or by what it refers to. */
  private typesOf(r: i32): i32 {
    let at = r;
    for (
      let i = 0;
      i < LEVELS_MAX && !this.rules.get(at, Slot.Types) && this.rules.get(at, Slot.Ref) >= 0;
      i++
    ) {
      at = this.rules.get(at, Slot.Ref);
    }
    return this.rules.get(at, Slot.Types);
  }
}
