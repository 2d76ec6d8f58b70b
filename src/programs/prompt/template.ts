/** Texts with holes: `{{name}}`, or `{{name|default}}` for a field that can be absent. */
import { Either, SchemaAST } from "effect"
import { isRecord } from "../../wire/json.js"

type Trim<Text extends string> = Text extends ` ${infer Rest}` | `${infer Rest} ` ? Trim<Rest> : Text

/** The names in the holes of a text. */
export type Holes<Template extends string> = Template extends `${string}{{${infer Hole}}}${infer Rest}`
  ? Trim<Hole extends `${infer Name}|${string}` ? Name : Hole> | Holes<Rest>
  : never

/** The fields that holes can name: those of an encoded input, and `input` for the whole of it. */
export type FieldsOf<I> = (I extends object ? keyof I & string : never) | "input"

/** The text itself, or what is wrong with it. A text that is not known when it is compiled is checked when the prompt is made. */
export type Checked<Template extends string, I> = string extends Template
  ? Template
  : [Exclude<Holes<Template>, FieldsOf<I>>] extends [never]
    ? Template
    : `The input has no field ${Exclude<Holes<Template>, FieldsOf<I>>}.`

const holePattern = /\{\{\s*([^{}|]+?)\s*(?:\|([^{}]*))?\}\}/g

/** The names of the fields of an encoded input; undefined when it can have any. */
export const fieldsOf = (ast: SchemaAST.AST): ReadonlySet<string> | undefined => {
  const encoded = SchemaAST.encodedAST(ast)
  if (SchemaAST.isTypeLiteral(encoded) && encoded.indexSignatures.length > 0) return undefined
  if (!SchemaAST.isTypeLiteral(encoded) && !SchemaAST.isUnion(encoded)) return new Set()
  return new Set(SchemaAST.getPropertySignatures(encoded).map(({ name }) => String(name)))
}

/** The first hole that names no field. */
export const unknownHole = (template: string, fields: ReadonlySet<string> | undefined): string | undefined =>
  fields === undefined
    ? undefined
    : [...template.matchAll(holePattern)]
        .map(([, name = ""]) => name)
        .find((name) => name !== "input" && !fields.has(name))

/** A value as it stands in a text: a text unchanged, anything else as JSON. */
export const textOf = (value: unknown): string => (typeof value === "string" ? value : (JSON.stringify(value) ?? ""))

const valueOf = (input: unknown, name: string): unknown => {
  if (isRecord(input) && Object.hasOwn(input, name)) return input[name]
  return name === "input" ? input : undefined
}

/** Fills the holes with the fields of an encoded input. Left: the field that is absent, and has no default. */
export const fill = (template: string, input: unknown): Either.Either<string, string> => {
  let absent: string | undefined
  const text = template.replaceAll(holePattern, (_, name: string, otherwise: string | undefined) => {
    const value = valueOf(input, name) ?? otherwise
    if (value === undefined) absent ??= name
    return textOf(value ?? "")
  })
  return absent === undefined ? Either.right(text) : Either.left(absent)
}
