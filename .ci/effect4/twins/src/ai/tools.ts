/** A tool of Effect, whose schemas and results differ from those of `@effect/ai`. */
import { Effect, Schema, SchemaAST, Stream } from "effect"
import * as AiError from "effect/ai/AiError"
import * as Prompt from "effect/ai/Prompt"
import * as Tool from "effect/ai/Tool"
import * as JsonSchema from "../programs/tools/jsonSchema.js"
import { isRecord } from "../wire/json.js"
import { resultText } from "./json.js"

type Tools = Record<string, Tool.Any>

interface Result {
  readonly result: unknown
  readonly encodedResult: unknown
  readonly modelOutput?: ReadonlyArray<Prompt.ToolModelOutputPart> | undefined
  readonly preliminary: boolean
}

/** A toolkit of any tools, as it runs them: it takes encoded parameters, and its types name the decoded ones. */
export interface Handled {
  readonly tools: Tools
  readonly handle: (
    name: string,
    params: unknown
  ) => Effect.Effect<Stream.Stream<Result, unknown, unknown>, unknown, unknown>
}

/** A tool that a person has to approve is not run: nobody is asked in the tool loop of this library. */
const approved = ({ name, needsApproval = false }: Tool.Any): Effect.Effect<void, AiError.AiError> =>
  needsApproval === false
    ? Effect.void
    : AiError.make({
        module: "LLMToolkit",
        method: name,
        reason: new AiError.ToolConfigurationError({
          toolName: name,
          description: "The tool needs an approval, for which the tool loop does not ask."
        })
      })

/** Runs a tool: its last result, and the text of the result for the model. */
export const run = (
  { handle }: Handled,
  tool: Tool.Any,
  params: unknown
): Effect.Effect<{ readonly result: unknown; readonly text: string }, unknown, unknown> =>
  approved(tool).pipe(
    Effect.andThen(handle(tool.name, params)),
    Effect.flatMap((results) => Stream.runLast(Stream.filter(results, ({ preliminary }) => !preliminary))),
    Effect.flatMap(Effect.fromOption),
    Effect.map(({ encodedResult, modelOutput, result }) => ({
      result,
      text: modelOutput === undefined ? resultText(encodedResult) : Prompt.toolModelOutputToText(modelOutput)
    }))
  )

/** The schema of the parameters of a tool. */
export const parametersSchema = ({ parametersSchema }: Tool.Any): Schema.Codec<unknown, unknown, unknown, unknown> =>
  Schema.make(parametersSchema.ast)

/** The JSON Schema of an object, as other requests of this library have it. */
export const jsonSchemaOf = ({ ast }: Pick<Schema.Top, "ast">): Record<string, unknown> => {
  const own: unknown = SchemaAST.resolve(ast)?.["jsonSchema"]
  return { ...(isRecord(own) ? own : JsonSchema.jsonSchemaOf(Schema.make<Schema.Codec<unknown>>(ast))) }
}

/** The description of a schema, for the model. */
export const descriptionOf = ({ ast }: Pick<Schema.Top, "ast">): string | undefined => SchemaAST.resolveDescription(ast)

const noParameters = { type: "object", required: [], properties: {}, additionalProperties: false }

/** The JSON Schema of the parameters of a tool. */
export const parametersOf = (tool: Tool.Any): Record<string, unknown> => {
  if (Tool.isDynamic(tool) && tool.jsonSchema !== undefined) return { ...tool.jsonSchema }
  return tool.parametersSchema === Tool.EmptyParams ? noParameters : jsonSchemaOf(tool.parametersSchema)
}
