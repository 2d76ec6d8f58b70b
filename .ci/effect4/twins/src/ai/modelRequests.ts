/** The requests of an `LLM` to a `LanguageModel` and an `EmbeddingModel` of Effect. */
import { Effect, Schema, Stream } from "effect"
import type * as AiError from "effect/ai/AiError"
import type * as EmbeddingModel from "effect/ai/EmbeddingModel"
import type * as LanguageModel from "effect/ai/LanguageModel"
import type * as Prompt from "effect/ai/Prompt"
import type * as Response from "effect/ai/Response"
import * as Tool from "effect/ai/Tool"
import type * as Toolkit from "effect/ai/Toolkit"
import type { ChatRequest, JsonSchemaFormat, ToolDefinition } from "../vocabulary/Chat.js"
import type { Part } from "./responseParts.js"

/** An object of any fields, whose JSON Schema is that of the request: the model's provider sends it as it is. */
const objectOf = (jsonSchema: object) => Schema.Record(Schema.String, Schema.Unknown).annotate({ jsonSchema })

const toolOf = ({ description, name, parameters = { type: "object", properties: {} } }: ToolDefinition) =>
  Tool.dynamic(name, { parameters: { ...parameters }, ...(description === undefined ? {} : { description }) })

type Tools = Record<string, ReturnType<typeof toolOf>>

/** The tools without handlers: the calls of an `LLM` are run by its caller, so `handle` is never called. */
const toolkitOf = (tools: ReadonlyArray<ToolDefinition>): Toolkit.WithHandler<Tools> => ({
  tools: Object.fromEntries(tools.map((tool) => [tool.name, toolOf(tool)])),
  handle: (name) => Effect.die(new Error(`The tool ${name} has no handler here.`))
})

type Messages = ReadonlyArray<Prompt.MessageEncoded>

const argumentsOf = ({ toolChoice = "auto", tools = [] }: ChatRequest, prompt: Messages) => ({
  prompt,
  toolkit: toolkitOf(tools),
  toolChoice: typeof toolChoice === "string" ? toolChoice : { tool: toolChoice.name },
  disableToolCallResolution: true as const
})

/** The parts of an answer, whose value is not checked here, but by the caller. */
export const generate = (
  model: LanguageModel.LanguageModel,
  request: ChatRequest,
  prompt: Messages,
  format: Pick<JsonSchemaFormat, "name" | "schema"> | undefined
): Effect.Effect<ReadonlyArray<Part>, AiError.AiError> => {
  const generated: Effect.Effect<
    { readonly content: ReadonlyArray<Response.Part<Tools, "encoded">> },
    AiError.AiError
  > =
    format === undefined
      ? model.generateText(argumentsOf(request, prompt))
      : model.generateObject({
          ...argumentsOf(request, prompt),
          objectName: format.name,
          schema: objectOf(format.schema)
        })
  return Effect.map(generated, ({ content }) => content.filter(isPart))
}

const isPart = <P extends { readonly type: string }>(
  part: P
): part is Exclude<P, { readonly type: "tool-approval-request" }> => part.type !== "tool-approval-request"

/** The parts of a streamed answer. */
export const stream = (
  model: LanguageModel.LanguageModel,
  request: ChatRequest,
  prompt: Messages
): Stream.Stream<Part | Response.ErrorPart, AiError.AiError> =>
  Stream.filter(model.streamText(argumentsOf(request, prompt)), isPart)

/** The vectors of texts, and their tokens if the model counts them. */
export const embed = (
  model: EmbeddingModel.EmbeddingModel,
  texts: ReadonlyArray<string>
): Effect.Effect<
  { readonly embeddings: ReadonlyArray<ReadonlyArray<number>>; readonly inputTokens: number | undefined },
  AiError.AiError
> =>
  Effect.map(model.embedMany(texts), ({ embeddings, usage }) => ({
    embeddings: embeddings.map(({ vector }) => vector),
    inputTokens: usage.inputTokens
  }))
