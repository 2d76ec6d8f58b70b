/** The protocols that the simulated provider speaks: which one, the path of a request tells. */
import type { IncomingHttpHeaders } from "node:http"
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

const chats: ReadonlyArray<readonly [RegExp, ServerWire]> = [
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

const embeddings: ReadonlyArray<readonly [RegExp, SimulatedEmbeddings]> = [
  [/\/embeddings$/, limited(openai, EmbeddingsDialect.common)],
  [/\/api\/embed$/, limited(ollama, OllamaClient.ollama)],
  [/:batchEmbedContents$/, limited(gemini, GeminiClient.gemini())],
  [/:predict$/, limited(gemini, GeminiClient.gemini("predict"))],
  [/\/text-embedding$/, limited(dashscope, DashScopeClient.dashscope)],
  [/\/embed$/, limited(cohere, CohereClient.cohere)]
]

const at = <A>(all: ReadonlyArray<readonly [RegExp, A]>, path: string): A | undefined =>
  all.find(([spoken]) => spoken.test(path))?.[1]

/** `dialect`: whom it follows in Chat Completions. */
export const chatAt = (path: string, dialect?: Partial<Dialect>): ServerWire | undefined => {
  const wire = at(chats, path)
  return wire === chatCompletions && dialect !== undefined ? ChatCompletions.server(dialect) : wire
}

export const embeddingsAt = (path: string): SimulatedEmbeddings | undefined => at(embeddings, path)

/** Several list their models at the same path: who asks is known by the header with the key. */
export const modelsAt = (path: string, headers: IncomingHttpHeaders): ServedModelsWire | undefined => {
  if (path.endsWith("/api/tags")) return Models.ollama
  if (!path.endsWith("/models")) return undefined
  if (headers["x-goog-api-key"] !== undefined) return Models.gemini
  return headers["anthropic-version"] === undefined ? Models.openai : Models.anthropic
}
