/** The protocols of the simulated provider, by the path of a request. */
import * as Anthropic from "../wire/anthropic/server/wire.js"
import type { Dialect } from "../wire/chatCompletions/dialect.js"
import * as ChatCompletions from "../wire/chatCompletions/server/wire.js"
import * as EmbeddingsDialect from "../wire/embeddings/dialect.js"
import * as CohereClient from "../wire/embeddings/client/cohere.js"
import * as DashScopeClient from "../wire/embeddings/client/dashscope.js"
import * as GeminiClient from "../wire/embeddings/client/gemini.js"
import * as OllamaClient from "../wire/embeddings/client/ollama.js"
import { cohere } from "../wire/embeddings/server/cohere.js"
import { gemini } from "../wire/embeddings/server/gemini.js"
import { ollama } from "../wire/embeddings/server/ollama.js"
import { openai } from "../wire/embeddings/server/openai.js"
import * as Gemini from "../wire/gemini/server/wire.js"
import * as Models from "../wire/modelList/server.js"
import * as Ollama from "../wire/ollama/server/wire.js"
import * as Responses from "../wire/responses/server/wire.js"
import type { EmbeddingsWire, ServedEmbeddingsWire, ServedModelsWire, ServerWire } from "../wire/Wire.js"
import { dashscope } from "./wires/dashscope/embeddings.js"
import * as DashScope from "./wires/dashscope/wire.js"

const chatCompletions = ChatCompletions.server()

const chatWires: ReadonlyArray<readonly [RegExp, ServerWire]> = [
  [/\/chat\/completions$/, chatCompletions],
  [/\/responses$/, Responses.server()],
  [/\/messages$|:(?:streamR|r)awPredict$/, Anthropic.server()],
  [/:(?:streamG|g)enerateContent$/, Gemini.server()],
  [/\/api\/chat$/, Ollama.server()],
  [/\/services\/aigc\/(?:text|multimodal)-generation\/generation$/, DashScope.server]
]

/** The server's half of a protocol, and the most texts that a request can have. */
export interface SimulatedEmbeddings extends ServedEmbeddingsWire, Pick<EmbeddingsWire, "maxBatch"> {}

const limited = (wire: ServedEmbeddingsWire, { maxBatch }: { readonly maxBatch: number }): SimulatedEmbeddings => ({
  ...wire,
  maxBatch
})

const embeddingsWires: ReadonlyArray<readonly [RegExp, SimulatedEmbeddings]> = [
  [/\/embeddings$/, limited(openai, EmbeddingsDialect.common)],
  [/\/api\/embed$/, limited(ollama, OllamaClient.ollama)],
  [/:batchEmbedContents$/, limited(gemini, GeminiClient.gemini())],
  [/:predict$/, limited(gemini, GeminiClient.gemini("predict"))],
  [/\/text-embedding$/, limited(dashscope, DashScopeClient.dashscope)],
  [/\/embed$/, limited(cohere, CohereClient.cohere)]
]

const wireAt = <A>(all: ReadonlyArray<readonly [RegExp, A]>, path: string): A | undefined =>
  all.find(([pattern]) => pattern.test(path))?.[1]

/** `dialect`: the dialect of Chat Completions. */
export const chatAt = (path: string, dialect?: Partial<Dialect>): ServerWire | undefined => {
  const wire = wireAt(chatWires, path)
  return wire === chatCompletions && dialect !== undefined ? ChatCompletions.server(dialect) : wire
}

export const embeddingsAt = (path: string): SimulatedEmbeddings | undefined => wireAt(embeddingsWires, path)

/** Several protocols list their models at the same path: a header distinguishes them. */
export const modelsAt = (path: string, headers: Readonly<Record<string, unknown>>): ServedModelsWire | undefined => {
  if (path.endsWith("/api/tags")) return Models.ollama
  if (!path.endsWith("/models")) return undefined
  if (headers["x-goog-api-key"] !== undefined) return Models.gemini
  return headers["anthropic-version"] === undefined ? Models.openai : Models.anthropic
}
