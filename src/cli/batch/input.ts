/** The requests of a batch, a line of JSON each. */
import { Effect, Either, ParseResult, Schema } from "effect"
import * as Chat from "../../vocabulary/Chat.js"
import { EmbeddingRequest } from "../../vocabulary/Embedding.js"
import * as ChatCompletions from "../../wire/ChatCompletions.js"
import { openai } from "../../wire/embeddings/server/openai.js"
import type { Json } from "../../wire/json.js"
import { isRecord } from "../../wire/json.js"
import * as Responses from "../../wire/Responses.js"
import type { ServedEmbeddingsWire, ServerWire, WireFailure } from "../../wire/Wire.js"
import type { Asked } from "./task.js"
import type { CliFailure } from "../failure.js"
import { unusable } from "../failure.js"

export interface Item {
  /** `custom_id` or `id` of the line, where it has one. */
  readonly id: string | undefined
  readonly request: Asked
}

type Read = Either.Either<Item, string>

const decodeRequest = Schema.decodeUnknownEither(Chat.ChatRequest, { errors: "all", onExcessProperty: "error" })
const encodeRequest = Schema.encodeSync(Chat.ChatRequest)

const decodeEmbedding = Schema.decodeUnknownEither(EmbeddingRequest, { errors: "all" })

const idOf = (line: Json): string | undefined => {
  const id = line["custom_id"] ?? line["id"]
  return typeof id === "string" || typeof id === "number" ? String(id) : undefined
}

const faultOf = (error: ParseResult.ParseError): string =>
  ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.message ?? "it is no request"

/** A line in our own words. */
const ownRequest = (id: string | undefined, json: Json): Read =>
  Either.mapBoth(decodeRequest(json), {
    onLeft: faultOf,
    onRight: (request) => ({ id, request: encodeRequest(request) })
  })

/** `{ "prompt": …, "system"?: …, and the rest of a request }` */
const prompted = (id: string | undefined, { prompt, system, ...rest }: Json): Read =>
  typeof prompt !== "string" || (system !== undefined && typeof system !== "string")
    ? Either.left('expected texts in "prompt" and "system"')
    : ownRequest(id, {
        ...rest,
        messages: [...(system === undefined ? [] : [Chat.system(system)]), Chat.user(prompt)]
      })

type Reader = (body: unknown) => Either.Either<Asked, string>

const chat =
  (wire: ServerWire): Reader =>
  (body) =>
    Either.mapBoth(wire.decodeRequest(body), {
      onLeft: complaintOf,
      onRight: ({ request }) => encodeRequest(request)
    })

const embeddings =
  (wire: ServedEmbeddingsWire): Reader =>
  (body) =>
    Either.flatMap(Either.mapLeft(wire.decodeRequest(body), complaintOf), (request) =>
      Either.mapLeft(decodeEmbedding(request), faultOf)
    )

const complaintOf = (failure: WireFailure): string => {
  switch (failure._tag) {
    case "Malformed":
      return `${failure.path === "" ? "the body" : failure.path} cannot be read`
    case "Unsupported":
      return `there is no ${failure.feature}`
    default:
      return "the body cannot be read"
  }
}

const readers: Readonly<Record<string, Reader>> = {
  "/v1/chat/completions": chat(ChatCompletions.make()),
  "/v1/responses": chat(Responses.make()),
  "/v1/embeddings": embeddings(openai)
}

/** A line of OpenAI's Batch API: `{ "custom_id", "method", "url", "body" }` (API reference, "The request input object"). */
const ofOpenAI = (id: string | undefined, { body, url }: Json): Read => {
  const place = typeof url === "string" ? url : "/v1/chat/completions"
  const reader = Object.hasOwn(readers, place) ? readers[place] : undefined
  return reader === undefined
    ? Either.left(`expected the url ${Object.keys(readers).join(" or ")}`)
    : Either.map(reader(body), (request) => ({ id, request }))
}

const ofJson = (json: unknown): Read => {
  if (typeof json === "string")
    return json === "" ? Either.left("the text is empty") : prompted(undefined, { prompt: json })
  if (!isRecord(json)) return Either.left('expected a text, or an object such as { "prompt": … }')
  const id = idOf(json)
  const { custom_id: _, id: __, ...rest } = json
  if (rest["body"] !== undefined) return ofOpenAI(id, rest)
  if (rest["prompt"] !== undefined) return prompted(id, rest)
  if (rest["messages"] !== undefined) return ownRequest(id, rest)
  return Either.left('expected "prompt", "messages" or "body"')
}

const json = (line: string): Either.Either<unknown, string> =>
  Either.try({ try: (): unknown => JSON.parse(line), catch: () => "it is not valid JSON" })

/** The most faults that are told; a file of another kind has one in every line. */
const mostTold = 10

/** All requests of a file, or all lines that are none. Empty lines are passed over. */
export const read = (text: string, path: string): Effect.Effect<ReadonlyArray<Item>, CliFailure> => {
  const items: Array<Item> = []
  const faults: Array<string> = []
  for (const [index, line] of text.split("\n").entries()) {
    if (line.trim() === "") continue
    Either.match(Either.flatMap(json(line), ofJson), {
      onLeft: (fault) => faults.push(`${path}:${index + 1}: ${fault}`),
      onRight: (item) => items.push(item)
    })
  }
  if (faults.length > 0) {
    const more = faults.length - mostTold
    return Effect.fail(
      unusable(
        `${path} cannot be used; nothing was asked.\n${faults.slice(0, mostTold).join("\n")}` +
          (more > 0 ? `\nand ${more} more` : "")
      )
    )
  }
  return items.length === 0 ? Effect.fail(unusable(`${path} holds no request.`)) : Effect.succeed(items)
}
