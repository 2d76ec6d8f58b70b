/** Reads the requests of a batch: one line of JSON each. */
import { Effect, Either, ParseResult, Schema } from "effect"
import * as Chat from "../../vocabulary/Chat.js"
import { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import * as ChatCompletions from "../../wire/chatCompletions/server/wire.js"
import { openai } from "../../wire/embeddings/server/openai.js"
import type { Json } from "../../wire/json.js"
import { isRecord } from "../../wire/json.js"
import * as Responses from "../../wire/responses/server/wire.js"
import type { ServedEmbeddingsWire, ServerWire, WireFailure } from "../../wire/Wire.js"
import type { BatchRequest } from "./task.js"
import type { CliFailure } from "../failure.js"
import { usageFailure } from "../failure.js"

export interface Item {
  /** The `custom_id` or `id` of the line. */
  readonly id: string | undefined
  readonly request: BatchRequest
}

type ParsedLine = Either.Either<Item, string>

const decodeRequest = Schema.decodeUnknownEither(Chat.ChatRequest, { errors: "all", onExcessProperty: "error" })
const encodeRequest = Schema.encodeSync(Chat.ChatRequest)

const decodeEmbedding = Schema.decodeUnknownEither(EmbeddingRequest, { errors: "all" })

const idOf = (line: Json): string | undefined => {
  const id = line["custom_id"] ?? line["id"]
  return typeof id === "string" || typeof id === "number" ? String(id) : undefined
}

const parseErrorMessage = (error: ParseResult.ParseError): string =>
  ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.message ?? "it is not a valid request"

/** A line that is a `ChatRequest` of this library. */
const chatRequest = (id: string | undefined, json: Json): ParsedLine =>
  Either.mapBoth(decodeRequest(json), {
    onLeft: parseErrorMessage,
    onRight: (request) => ({ id, request: encodeRequest(request) })
  })

/** A line of the form `{ "prompt": …, "system"?: …, … }`, with the other fields of a request. */
const promptRequest = (id: string | undefined, { prompt, system, ...rest }: Json): ParsedLine =>
  typeof prompt !== "string" || (system !== undefined && typeof system !== "string")
    ? Either.left('expected strings in "prompt" and "system"')
    : chatRequest(id, {
        ...rest,
        messages: [...(system === undefined ? [] : [Chat.system(system)]), Chat.user(prompt)]
      })

type BodyReader = (body: unknown) => Either.Either<BatchRequest, string>

const chatReader =
  (wire: ServerWire): BodyReader =>
  (body) =>
    Either.mapBoth(wire.decodeRequest(body), {
      onLeft: wireFailureMessage,
      onRight: ({ request }) => encodeRequest(request)
    })

const embeddingsReader =
  (wire: ServedEmbeddingsWire): BodyReader =>
  (body) =>
    Either.flatMap(Either.mapLeft(wire.decodeRequest(body), wireFailureMessage), (request) =>
      Either.mapLeft(decodeEmbedding(request), parseErrorMessage)
    )

const wireFailureMessage = (failure: WireFailure): string => {
  switch (failure._tag) {
    case "Malformed":
      return `${failure.path === "" ? "the body" : failure.path} cannot be read`
    case "Unsupported":
      return `${failure.feature} is not supported`
    case "Invalid":
      return failure.message
    default:
      return "the body cannot be read"
  }
}

const readers: Readonly<Record<string, BodyReader>> = {
  "/v1/chat/completions": chatReader(ChatCompletions.server()),
  "/v1/responses": chatReader(Responses.server()),
  "/v1/embeddings": embeddingsReader(openai)
}

/** A line of OpenAI's Batch API: `{ "custom_id", "method", "url", "body" }` (API reference, "The request input object"). */
const openAIRequest = (id: string | undefined, { body, url }: Json): ParsedLine => {
  const path = typeof url === "string" ? url : "/v1/chat/completions"
  const reader = Object.hasOwn(readers, path) ? readers[path] : undefined
  return reader === undefined
    ? Either.left(`expected "url" to be ${Object.keys(readers).join(" or ")}`)
    : Either.map(reader(body), (request) => ({ id, request }))
}

const itemOf = (json: unknown): ParsedLine => {
  if (typeof json === "string")
    return json === "" ? Either.left("the text is empty") : promptRequest(undefined, { prompt: json })
  if (!isRecord(json)) return Either.left('expected a string, or an object such as { "prompt": … }')
  const id = idOf(json)
  const { custom_id: _, id: __, ...rest } = json
  if (rest["body"] !== undefined) return openAIRequest(id, rest)
  if (rest["prompt"] !== undefined) return promptRequest(id, rest)
  if (rest["messages"] !== undefined) return chatRequest(id, rest)
  return Either.left('expected "prompt", "messages" or "body"')
}

const parseJson = (line: string): Either.Either<unknown, string> =>
  Either.try({ try: (): unknown => JSON.parse(line), catch: () => "not valid JSON" })

/** Limits the message for a file of another format, in which every line is invalid. */
const maxReportedFaults = 10

/** Reads all requests of a file, or fails with all invalid lines. Skips empty lines. */
export const read = (text: string, path: string): Effect.Effect<ReadonlyArray<Item>, CliFailure> => {
  const items: Array<Item> = []
  const faults: Array<string> = []
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue
    Either.match(Either.flatMap(parseJson(line), itemOf), {
      onLeft: (fault) => faults.push(`${path}:${index + 1}: ${fault}`),
      onRight: (item) => items.push(item)
    })
  }
  if (faults.length > 0) {
    const more = faults.length - maxReportedFaults
    return Effect.fail(
      usageFailure(
        `${path} is invalid; no request was sent.\n${faults.slice(0, maxReportedFaults).join("\n")}` +
          (more > 0 ? `\nand ${more} more` : "")
      )
    )
  }
  return items.length === 0 ? Effect.fail(usageFailure(`${path} holds no request.`)) : Effect.succeed(items)
}
