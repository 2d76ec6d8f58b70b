/** The protocols of the simulated provider, by the path of a request. */
import type { IncomingHttpHeaders } from "node:http"
import * as Anthropic from "../wire/Anthropic.js"
import * as ChatCompletions from "../wire/ChatCompletions.js"
import * as DashScope from "../wire/DashScope.js"
import { cohere } from "../wire/embeddings/cohere.js"
import { dashscope } from "../wire/embeddings/dashscope.js"
import { gemini } from "../wire/embeddings/gemini.js"
import { ollama } from "../wire/embeddings/ollama.js"
import * as OpenAIEmbeddings from "../wire/embeddings/openai.js"
import * as Gemini from "../wire/Gemini.js"
import * as Listing from "../wire/listing.js"
import * as Ollama from "../wire/Ollama.js"
import * as Responses from "../wire/Responses.js"
import type { ServedEmbeddingsWire, ServedModelsWire, Wire } from "../wire/Wire.js"

const chatCompletions = ChatCompletions.make()

const chatWires: ReadonlyArray<readonly [RegExp, Wire]> = [
  [/\/chat\/completions$/, chatCompletions],
  [/\/responses$/, Responses.make()],
  [/\/messages$|:(?:streamR|r)awPredict$/, Anthropic.make()],
  [/:(?:streamG|g)enerateContent$/, Gemini.make()],
  [/\/api\/chat$/, Ollama.make()],
  [/\/services\/aigc\/(?:text|multimodal)-generation\/generation$/, DashScope.make()]
]

const embeddingsWires: ReadonlyArray<readonly [RegExp, ServedEmbeddingsWire]> = [
  [/\/embeddings$/, OpenAIEmbeddings.make()],
  [/\/api\/embed$/, ollama],
  [/:batchEmbedContents$/, gemini()],
  [/:predict$/, gemini("predict")],
  [/\/text-embedding$/, dashscope],
  [/\/embed$/, cohere]
]

const wireAt = <A>(all: ReadonlyArray<readonly [RegExp, A]>, path: string): A | undefined =>
  all.find(([pattern]) => pattern.test(path))?.[1]

/** `dialect`: the dialect of Chat Completions. */
export const chatAt = (path: string, dialect?: Partial<ChatCompletions.Dialect>): Wire | undefined => {
  const wire = wireAt(chatWires, path)
  return wire === chatCompletions && dialect !== undefined ? ChatCompletions.make(dialect) : wire
}

export const embeddingsAt = (path: string): ServedEmbeddingsWire | undefined => wireAt(embeddingsWires, path)

/** Several protocols list their models at the same path: a header distinguishes them. */
export const modelsAt = (path: string, headers: IncomingHttpHeaders): ServedModelsWire | undefined => {
  if (path.endsWith("/api/tags")) return Listing.ollama
  if (!path.endsWith("/models")) return undefined
  if (headers["x-goog-api-key"] !== undefined) return Listing.gemini
  return headers["anthropic-version"] === undefined ? Listing.openai : Listing.anthropic
}
