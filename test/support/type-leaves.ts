// One JSON body for each string that a TypeScript type has room for, as a client library declares what its API takes and gives.
//
// Of a union every member is tried, of an object every member alone beside the required ones, of a list one item. Bounds: types
// within themselves are entered once, LEVELS_MAX deep.
import ts from "typescript-compiler-api";

const LEVELS_MAX = 10;

export interface Leaf {
  /** `.messages[].content[]<text>.text`: literal `type` and `role` of what is around stand in angle brackets. */
  readonly path: string;
  readonly body: unknown;
}

/** Reads the declarations of `files` (paths of `.d.ts`), and gives the leaves of a type that one of them declares, with `text` for the string. */
export function typeLeaves(files: readonly string[]): (file: string, name: string, text: string) => Leaf[] {
  const program = ts.createProgram(files, {
    strict: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ES2022,
    types: [],
  });
  const checker = program.getTypeChecker();
  return (file, name, text) => [...leaves(checker, typeOf(program, file, name), text, "", [])];
}

function typeOf(program: ts.Program, file: string, name: string): ts.Type {
  let found: ts.Type | undefined;
  const visit = (node: ts.Node): void => {
    if ((ts.isInterfaceDeclaration(node) || ts.isTypeAliasDeclaration(node)) && node.name.text === name)
      found ??= program.getTypeChecker().getTypeAtLocation(node.name);
    ts.forEachChild(node, visit);
  };
  const source = program.getSourceFile(file);
  if (source !== undefined) visit(source);
  if (found === undefined) throw new Error(`${name}: expected it in ${file}`);
  return found;
}

const isString = (type: ts.Type): boolean =>
  (type.flags & ts.TypeFlags.String) !== 0 || (type.isIntersection() && type.types.some(isString));

const isUnknown = ({ flags }: ts.Type): boolean => (flags & (ts.TypeFlags.Unknown | ts.TypeFlags.Any)) !== 0;

/** The members that are values, with their types. */
function members(checker: ts.TypeChecker, type: ts.Type): [ts.Symbol, ts.Type][] {
  return checker.getPropertiesOfType(type).flatMap((member): [ts.Symbol, ts.Type][] => {
    const declared = member.valueDeclaration ?? member.declarations?.[0];
    if (declared === undefined) return [];
    const its = checker.getTypeOfSymbolAtLocation(member, declared);
    return its.getCallSignatures().length > 0 ? [] : [[member, its]];
  });
}

/** The least that a value of the type can be. */
function sample(checker: ts.TypeChecker, type: ts.Type, level: number): unknown {
  const { flags } = type;
  if (type.isStringLiteral() || type.isNumberLiteral()) return type.value;
  if (flags & ts.TypeFlags.BooleanLike) return checker.typeToString(type) !== "false";
  if (flags & ts.TypeFlags.Number) return 1;
  if (isString(type) || isUnknown(type)) return "x";
  if (type.isUnion()) {
    if (type.types.some(({ flags }) => flags & ts.TypeFlags.Null)) return null;
    const some = type.types.filter(({ flags }) => !(flags & ts.TypeFlags.Undefined));
    const chosen = some.find(isString) ?? some[0];
    return chosen === undefined ? null : sample(checker, chosen, level);
  }
  if (!(flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection))) return null;
  if (checker.isArrayType(type)) {
    const [item] = checker.getTypeArguments(type as ts.TypeReference);
    return item === undefined || level > LEVELS_MAX ? [] : [sample(checker, item, level + 1)];
  }
  if (level > LEVELS_MAX) return {};
  const required = members(checker, type).filter(([member]) => !(member.flags & ts.SymbolFlags.Optional));
  return Object.fromEntries(required.map(([member, its]) => [member.name, sample(checker, its, level + 1)]));
}

function* leaves(
  checker: ts.TypeChecker,
  type: ts.Type,
  text: string,
  path: string,
  around: readonly ts.Type[],
): Generator<Leaf> {
  if (isString(type) || isUnknown(type)) {
    yield { path, body: text };
    return;
  }
  if (type.isUnion()) {
    for (const one of type.types) yield* leaves(checker, one, text, path, around);
    return;
  }
  if (!(type.flags & (ts.TypeFlags.Object | ts.TypeFlags.Intersection)) || checker.isTupleType(type)) return;
  if (around.includes(type) || around.length === LEVELS_MAX) return;
  const within = [...around, type];
  if (checker.isArrayType(type)) {
    const [item] = checker.getTypeArguments(type as ts.TypeReference);
    if (item === undefined) return;
    for (const leaf of leaves(checker, item, text, `${path}[]`, within))
      yield { path: leaf.path, body: [leaf.body] };
    return;
  }
  const least = sample(checker, type, 0) as object;
  const any = checker.getIndexTypeOfType(type, ts.IndexKind.String);
  if (any !== undefined)
    for (const leaf of leaves(checker, any, text, `${path}.*`, within))
      yield { path: leaf.path, body: { ...least, thing: leaf.body } };
  const all = members(checker, type);
  const says = all.map(([{ name }, its]) =>
    (name === "type" || name === "role") && its.isStringLiteral() ? `<${its.value}>` : "",
  );
  for (const [member, its] of all)
    for (const leaf of leaves(checker, its, text, `${path}${says.join("")}.${member.name}`, within))
      yield { path: leaf.path, body: { ...least, [member.name]: leaf.body } };
}
