/** A tool of `@effect/ai` where its versions differ: one module, since Effect 4 runs and describes tools in other ways. */
import * as Tool from "@effect/ai/Tool"
import { Effect, Option, Schema, SchemaAST } from "effect"
import * as JsonSchema from "../programs/tools/jsonSchema.js"
import { resultText } from "./json.js"

type Tools = Record<string, Tool.Any>

/** A toolkit of any tools, as it runs them: it takes encoded parameters, and its types name the decoded ones. */
export interface Handled {
  readonly tools: Tools
  readonly handle: (
    name: string,
    params: unknown
  ) => Effect.Effect<{ readonly result: unknown; readonly encodedResult: unknown }, unknown, unknown>
}

/** Runs a tool: its result, and the text of the result for the model. */
export const run = (
  { handle }: Handled,
  tool: Tool.Any,
  params: unknown
): Effect.Effect<{ readonly result: unknown; readonly text: string }, unknown, unknown> =>
  Effect.map(handle(tool.name, params), ({ encodedResult, result }) => ({ result, text: resultText(encodedResult) }))

/** The schema of the parameters of a tool. */
export const parametersSchema = ({ parametersSchema }: Tool.Any): Schema.Schema<unknown, unknown, unknown> =>
  Schema.make(parametersSchema.ast)

type AnySchema = Pick<Schema.Schema.Any, "ast">

/** The JSON Schema of an object: that of its annotation as it is, or as other requests of this library have it. */
export const jsonSchemaOf = ({ ast }: AnySchema): Record<string, unknown> => {
  const own = SchemaAST.isTypeLiteral(ast) ? Option.getOrUndefined(SchemaAST.getJSONSchemaAnnotation(ast)) : undefined
  return { ...(own ?? JsonSchema.jsonSchemaOf(Schema.make<unknown, unknown, unknown>(ast))) }
}

/** The description of a schema, for the model. */
export const descriptionOf = ({ ast }: AnySchema): string | undefined => Tool.getDescriptionFromSchemaAst(ast)

/** The JSON Schema of the parameters of a tool. */
export const parametersOf = (tool: Tool.Any): Record<string, unknown> => jsonSchemaOf(tool.parametersSchema)
