/** The JSON of the results of a batch, in the form of Effect 3: a journal of one build is read by the other. */
import { Cause, Effect, Exit, Formatter, Predicate, Schema, SchemaAST, SchemaTransformation } from "effect"

/** Encodes and decodes the results of a batch. */
export interface Codec<A, E> {
  readonly encode: (exit: Exit.Exit<A, E>) => Effect.Effect<unknown, Schema.SchemaError>
  readonly decode: (json: unknown) => Effect.Effect<Exit.Exit<A, E>, Schema.SchemaError>
}

/** A cause as a tree, as Effect 3 has it. */
type CauseTree<E> =
  | { readonly _tag: "Empty" }
  | { readonly _tag: "Fail"; readonly error: E }
  | { readonly _tag: "Die"; readonly defect?: unknown }
  | { readonly _tag: "Interrupt"; readonly fiberId: unknown }
  | { readonly _tag: "Sequential" | "Parallel"; readonly left: CauseTree<E>; readonly right: CauseTree<E> }

type ExitTree<A, E> =
  | { readonly _tag: "Success"; readonly value: A }
  | { readonly _tag: "Failure"; readonly cause: CauseTree<E> }

const noFiber = { _tag: "None" }

const treeOf = <E>(reason: Cause.Reason<E>): CauseTree<E> => {
  switch (reason._tag) {
    case "Fail":
      return { _tag: "Fail", error: reason.error }
    case "Die":
      return { _tag: "Die", defect: reason.defect }
    case "Interrupt":
      return { _tag: "Interrupt", fiberId: noFiber }
  }
}

const exitTreeOf = <A, E>(exit: Exit.Exit<A, E>): ExitTree<A, E> => {
  if (Exit.isSuccess(exit)) return { _tag: "Success", value: exit.value }
  const [first, ...rest] = exit.cause.reasons.map(treeOf)
  const cause = rest.reduce<CauseTree<E>>(
    (left, right) => ({ _tag: "Sequential", left, right }),
    first ?? { _tag: "Empty" }
  )
  return { _tag: "Failure", cause }
}

const causeOf = <E>(tree: CauseTree<E>): Cause.Cause<E> => {
  switch (tree._tag) {
    case "Empty":
      return Cause.empty
    case "Fail":
      return Cause.fail(tree.error)
    case "Die":
      return Cause.die(tree.defect)
    case "Interrupt":
      return Cause.interrupt()
    default:
      return Cause.combine(causeOf(tree.left), causeOf(tree.right))
  }
}

const exitOf = <A, E>(tree: ExitTree<A, E>): Exit.Exit<A, E> =>
  tree._tag === "Success" ? Exit.succeed(tree.value) : Exit.failCause(causeOf(tree.cause))

const jsonOfDefect = (defect: unknown): unknown => {
  if (defect instanceof Error) return { name: defect.name, message: defect.message }
  if (defect === undefined || typeof defect === "string") return defect
  const hasText =
    Predicate.hasProperty(defect, "toString") &&
    defect.toString !== Object.prototype.toString &&
    defect.toString !== Array.prototype.toString
  return hasText ? String(defect) : Formatter.formatJson(defect)
}

const defectOf = (json: unknown): unknown => {
  if (!Predicate.hasProperty(json, "message") || typeof json.message !== "string") return jsonOfDefect(json)
  const error = new Error(json.message, { cause: json })
  if (Predicate.hasProperty(json, "name") && typeof json.name === "string") error.name = json.name
  error.stack = ""
  return error
}

/** A defect that is no error becomes a text, and JSON has no field for one that is undefined. */
const Defect = Schema.Unknown.pipe(
  Schema.decodeTo(Schema.Unknown, SchemaTransformation.transform({ decode: defectOf, encode: jsonOfDefect }))
)

/** Whether the encoded values of a schema are JSON. Those of Effect 4's `Option`, `Date` and their kind are the values themselves. */
const isJson = (ast: SchemaAST.AST, within: ReadonlySet<SchemaAST.AST> = new Set()): boolean => {
  if (within.has(ast)) return true
  const inner = new Set([...within, ast])
  const areJson = (all: ReadonlyArray<SchemaAST.AST>): boolean => all.every((each) => isJson(each, inner))
  switch (ast._tag) {
    case "Declaration":
    case "BigInt":
    case "Symbol":
    case "UniqueSymbol":
      return false
    case "Arrays":
      return areJson([...ast.elements, ...ast.rest])
    case "Objects":
      return areJson([...ast.propertySignatures, ...ast.indexSignatures].map(({ type }) => type))
    case "Union":
      return areJson(ast.types)
    case "Suspend":
      return isJson(ast.thunk(), inner)
    default:
      return true
  }
}

/**
 * The schema itself where it encodes to JSON, which is then that of Effect 3, with values of no type and without undefined fields. Any
 * other has the JSON that Effect 4 derives from it.
 */
const jsonSchema = <A, I>(schema: Schema.Codec<A, I>): Schema.Codec<A, unknown> =>
  isJson(Schema.toEncoded(schema).ast) ? schema : Schema.toCodecJson(schema)

const treeSchema = <A, I, E, EI>(success: Schema.Codec<A, I>, failure: Schema.Codec<E, EI>) => {
  const causes: Schema.Codec<CauseTree<E>, CauseTree<EI>> = Schema.Union([
    Schema.Struct({ _tag: Schema.Literal("Empty") }),
    Schema.Struct({ _tag: Schema.Literal("Fail"), error: failure }),
    Schema.Struct({ _tag: Schema.Literal("Die"), defect: Schema.optionalKey(Defect) }),
    Schema.Struct({ _tag: Schema.Literal("Interrupt"), fiberId: Schema.Unknown }),
    Schema.Struct({
      _tag: Schema.Literals(["Sequential", "Parallel"]),
      left: Schema.suspend((): Schema.Codec<CauseTree<E>, CauseTree<EI>> => causes),
      right: Schema.suspend((): Schema.Codec<CauseTree<E>, CauseTree<EI>> => causes)
    })
  ])
  return Schema.Union([
    Schema.Struct({ _tag: Schema.Literal("Success"), value: success }),
    Schema.Struct({ _tag: Schema.Literal("Failure"), cause: causes })
  ])
}

export const codec = <A, I, E, EI>(success: Schema.Codec<A, I>, failure: Schema.Codec<E, EI>): Codec<A, E> => {
  // Made and compiled at its first use: compiling that of a response takes a tenth of the time of an import.
  let made: ReturnType<typeof treeSchema<A, unknown, E, unknown>> | undefined
  const schema = () => (made ??= treeSchema(jsonSchema(success), jsonSchema(failure)))
  return {
    encode: (exit) => Schema.encodeEffect(schema())(exitTreeOf(exit)),
    decode: (json) => Effect.map(Schema.decodeUnknownEffect(schema(), { reportInput: true })(json), exitOf)
  }
}
