/** The route of a chat protocol: decodes the request, calls the model, and encodes the answer whole or as a stream. */
import { HttpServerRequest } from "@effect/platform"
import { Clock, Effect } from "effect"
import type { ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import { withContent } from "../../vocabulary/Chat.js"
import { fromStream } from "../../call/openStream.js"
import { WantsRawResponse } from "../../call/passthrough.js"
import type { Service as LLMService } from "../../call/model.js"
import { number } from "../../wire/json.js"
import * as JsonResponse from "../http/response.js"
import * as Body from "../http/body.js"
import * as Choices from "./choices.js"
import * as Authentication from "../auth/authenticate.js"
import * as HttpErrors from "../http/error.js"
import type { Protocol } from "./model.js"
import * as Passthrough from "./passthrough.js"
import * as Streaming from "./sse.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { resolveModel } from "../http/context.js"
import * as UnsupportedFields from "./unsupportedFields.js"

/** A decoded request with the model that it names. */
interface ChatCall {
  readonly context: GatewayContext
  readonly protocol: Protocol
  readonly llm: LLMService
  readonly request: ChatRequest
  /** The body of the request as the client sent it. */
  readonly body: Record<string, unknown>
  /** The number of choices (`n`). */
  readonly count: number
  /** Whether the provider makes all choices in one call. */
  readonly passesChoices: boolean
  /** In seconds since the epoch. */
  readonly createdAt: number
  /** Headers of the response. */
  readonly headers: Readonly<Record<string, string>>
}

const seconds = Effect.map(Clock.currentTimeMillis, (now) => Math.floor(now / 1000))

/** The number of choices in a Chat Completions request. */
const choiceCount = (
  body: Record<string, unknown>,
  maxChoices: number
): Effect.Effect<number, HttpErrors.HttpError> => {
  const n = body["n"]
  if (n === undefined || n === null) return Effect.succeed(1)
  const count = number(body, "n") ?? 0
  return Number.isInteger(count) && count >= 1 && count <= maxChoices
    ? Effect.succeed(count)
    : Effect.fail(HttpErrors.invalid(`Invalid value for 'n': expected a whole number from 1 to ${maxChoices}.`, "n"))
}

/** Removes `n` of Chat Completions: the gateway makes one call for each choice. */
const withoutN = ({ extra, ...request }: ChatRequest): ChatRequest => {
  if (extra === undefined) return request
  const { n: _, ...others } = extra
  return Object.keys(others).length === 0 ? request : { ...request, extra: others }
}

/**
 * Fails on an answer whose text is not that of its content, of which only the content is sent: a middleware that redacts `text` alone
 * must not send what it redacts.
 */
const checkViews = (response: ChatResponse): Effect.Effect<void> => {
  const { reasoning, refusal, text, toolCalls } = withContent({}, response.content)
  return response.text === text &&
    response.reasoning === reasoning &&
    response.refusal === refusal &&
    response.toolCalls.length === toolCalls.length
    ? Effect.void
    : Effect.dieMessage(
        "The text of an answer is not that of its content: a middleware changed one of them alone. Change an answer with Chat.withContent."
      )
}

const respondWhole = (chatCall: ChatCall): Handler => {
  const { body, context, count, createdAt, headers, llm, passesChoices, protocol, request } = chatCall
  const send = (input: ChatRequest) =>
    llm.chat(input).pipe(Effect.mapError(HttpErrors.fromLLMError), Effect.tap(checkViews))
  const sendRaw = Effect.provideService(send(request), WantsRawResponse, protocol.wire.name)
  const repeated = (times: number) =>
    Effect.replicateEffect(send(withoutN(request)), times, { concurrency: "unbounded" })
  const calls =
    count > 1 && !passesChoices
      ? repeated(count)
      : Effect.flatMap(sendRaw, (answer) =>
          // A middleware changes one choice, and a cache has one: the others come from calls of their own.
          count === 1 || Passthrough.textOf(protocol, answer) !== undefined
            ? Effect.succeed([answer])
            : Effect.map(repeated(count - 1), (others) => [answer, ...others])
        )
  return Effect.map(context.requests.withinDeadline(calls), (responses) => {
    const [only] = responses
    const text = only === undefined || responses.length > 1 ? undefined : Passthrough.textOf(protocol, only)
    return text === undefined
      ? JsonResponse.json(Choices.encode(protocol.wire, responses, { request: body, createdAt }), { headers })
      : JsonResponse.text(text, { headers })
  })
}

/** Opens a stream for each choice, and closes them all at the shutdown deadline. */
const openStreams = ({ context, count, llm, protocol, request }: ChatCall) =>
  Effect.gen(function* () {
    let aborted = false
    const open = fromStream(llm.chatStream(request))
    // Several choices are merged into one stream, for which raw frames are of no use.
    const openRaw = count === 1 ? Effect.provideService(open, WantsRawResponse, protocol.wire.name) : open
    const streams = yield* Effect.replicateEffect(Streaming.openInBackground(openRaw), count)
    yield* context.requests.onDeadline(
      Effect.suspend(() => {
        aborted = true
        return Effect.forEach(streams, ({ close }) => close, { discard: true, concurrency: "unbounded" })
      })
    )
    return { streams, isAborted: () => aborted }
  })

const respondStreaming = (call: ChatCall): Handler =>
  Effect.gen(function* () {
    const { body, context, count, createdAt, headers, protocol } = call
    const { isAborted, streams } = yield* openStreams(call)
    const [first, ...others] = streams
    if (first !== undefined && others.length === 0) {
      const encoder = Passthrough.streamEncoder(protocol, body, createdAt)
      return yield* Streaming.respond(Streaming.sourceOf(first, isAborted), encoder, context.keepAlive, headers)
    }
    const source = yield* Choices.mergeStreams(streams, isAborted)
    const encoder = Choices.streamEncoder(protocol.wire, body, count, createdAt)
    return yield* Streaming.respond(source, encoder, context.keepAlive, headers)
  })

export const handler = (context: GatewayContext, protocol: Protocol): Handler =>
  Authentication.authenticated(context, (caller) =>
    Effect.gen(function* () {
      const { body, text } = yield* Body.readText(context.maxBodySize)
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const decoded = yield* Effect.mapError(
        protocol.wire.decodeRequest(body, { path: protocol.path, headers }),
        HttpErrors.fromWireFailure
      )
      const { model, ...chatRequest } = decoded.request
      const llm = yield* resolveModel(context, caller, model)
      const isChatCompletions = protocol.wire.name === "chat-completions"
      const count = isChatCompletions ? yield* choiceCount(body, context.maxChoices) : 1
      const passesChoices = count > 1 && !decoded.stream && llm.info.faithful === true
      const { dropped, request } = yield* UnsupportedFields.drop(
        count === 1 ? withoutN(chatRequest) : chatRequest,
        protocol,
        llm.info.wire
      )
      const withBody = Passthrough.withBody(protocol, { text, body, headers }, request)
      const call: ChatCall = {
        context,
        protocol,
        llm,
        request: count === 1 || passesChoices ? withBody : withoutN(withBody),
        body,
        count,
        passesChoices,
        createdAt: yield* seconds,
        headers: UnsupportedFields.droppedHeader(dropped)
      }
      return yield* decoded.stream ? respondStreaming(call) : respondWhole(call)
    })
  )
