/** The requests of an `LLM` to a `LanguageModel` and an `EmbeddingModel` of `@effect/ai`: one module, since Effect 4 has other interfaces. */
import type * as AiError from "@effect/ai/AiError"
import type * as EmbeddingModel from "@effect/ai/EmbeddingModel"
import type * as LanguageModel from "@effect/ai/LanguageModel"
import type * as Prompt from "@effect/ai/Prompt"
import type * as Response from "@effect/ai/Response"
import * as Tool from "@effect/ai/Tool"
import type * as Toolkit from "@effect/ai/Toolkit"
import type { Stream } from "effect"
import { Effect, Schema } from "effect"
import type { ChatRequest, JsonSchemaFormat, ToolDefinition } from "../vocabulary/Chat.js"
import type { Part } from "./responseParts.js"

/** An object of any fields, whose JSON Schema is that of the request: the model's provider sends it as it is. */
const objectOf = (jsonSchema: object) =>
  Schema.Struct({}).annotations({ jsonSchema, parseOptions: { onExcessProperty: "preserve" } })

const toolOf = ({ description, name, parameters = { type: "object", properties: {} } }: ToolDefinition) =>
  Tool.make(name, description === undefined ? {} : { description }).setParameters(objectOf(parameters))

type Tools = Record<string, Tool.Any>

/** The tools without handlers: the calls of an `LLM` are run by its caller, so `handle` is never called. */
const toolkitOf = (tools: ReadonlyArray<ToolDefinition>): Toolkit.WithHandler<Tools> => ({
  tools: Object.fromEntries(tools.map((tool): [string, Tool.Any] => [tool.name, toolOf(tool)])),
  handle: (name) => Effect.dieMessage(`The tool ${name} has no handler here.`)
})

type Messages = ReadonlyArray<Prompt.MessageEncoded>

const argumentsOf = ({ toolChoice = "auto", tools = [] }: ChatRequest, prompt: Messages) =>
  tools.length === 0
    ? { prompt }
    : {
        prompt,
        toolkit: toolkitOf(tools),
        toolChoice: typeof toolChoice === "string" ? toolChoice : { tool: toolChoice.name },
        disableToolCallResolution: true
      }

/** The parts of an answer, whose value is not checked here, but by the caller. */
export const generate = (
  model: LanguageModel.Service,
  request: ChatRequest,
  prompt: Messages,
  format: Pick<JsonSchemaFormat, "name" | "schema"> | undefined
): Effect.Effect<ReadonlyArray<Part>, AiError.AiError> => {
  const generated: Effect.Effect<{ readonly content: ReadonlyArray<Part> }, AiError.AiError> =
    format === undefined
      ? model.generateText(argumentsOf(request, prompt))
      : model.generateObject({
          ...argumentsOf(request, prompt),
          objectName: format.name,
          schema: objectOf(format.schema)
        })
  return Effect.map(generated, ({ content }) => content)
}

/** The parts of a streamed answer. */
export const stream = (
  model: LanguageModel.Service,
  request: ChatRequest,
  prompt: Messages
): Stream.Stream<Part | Response.ErrorPart, AiError.AiError> => model.streamText(argumentsOf(request, prompt))

/** The vectors of texts, and their tokens if the model counts them. */
export const embed = (
  model: EmbeddingModel.Service,
  texts: ReadonlyArray<string>
): Effect.Effect<
  { readonly embeddings: ReadonlyArray<ReadonlyArray<number>>; readonly inputTokens: number | undefined },
  AiError.AiError
> => Effect.map(model.embedMany(texts), (embeddings) => ({ embeddings, inputTokens: undefined }))
