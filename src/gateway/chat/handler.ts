/** The route of a chat protocol: decodes the request, calls the model, and encodes the answer whole or as a stream. */
import { Effect, Either } from "effect"
import type { ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import { withContent } from "../../vocabulary/Chat.js"
import { openChat } from "../../call/openStream.js"
import * as Requests from "../../call/request.js"
import type { Service as LLMService } from "../../call/model.js"
import { number } from "../../wire/json.js"
import * as Body from "../http/body.js"
import * as Choices from "./choices.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as HttpErrors from "../http/error.js"
import type { HotCall, HotRoute } from "../http/hotRoute.js"
import type { Protocol } from "./model.js"
import * as Passthrough from "./passthrough.js"
import * as Streaming from "./sse.js"
import type { GatewayContext } from "../http/context.js"
import * as UnsupportedFields from "./unsupportedFields.js"

/** A decoded request with the model that it names. */
interface ChatCall {
  readonly context: GatewayContext
  readonly hot: HotCall
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
  /** Headers of the response, once the provider has answered. */
  readonly headers: () => Readonly<Record<string, string>>
}

/** The number of choices in a Chat Completions request. */
const choiceCount = (
  body: Record<string, unknown>,
  maxChoices: number
): Either.Either<number, HttpErrors.HttpError> => {
  const n = body["n"]
  if (n === undefined || n === null) return Either.right(1)
  const count = number(body, "n") ?? 0
  return Number.isInteger(count) && count >= 1 && count <= maxChoices
    ? Either.right(count)
    : Either.left(HttpErrors.invalid(`Invalid value for 'n': expected a whole number from 1 to ${maxChoices}.`, "n"))
}

/** Removes `n` of Chat Completions: the gateway makes one call for each choice. */
const withoutN = ({ extra, ...request }: ChatRequest): ChatRequest => {
  if (extra === undefined) return request
  const { n: _, ...others } = extra
  return Object.keys(others).length === 0 ? request : { ...request, extra: others }
}

/** Whether the text of an answer is that of its content. Only the content is sent. */
const hasOwnViews = (response: ChatResponse): boolean => {
  const { reasoning, refusal, text, toolCalls } = withContent({}, response.content)
  return (
    response.text === text &&
    response.reasoning === reasoning &&
    response.refusal === refusal &&
    response.toolCalls.length === toolCalls.length
  )
}

/** A middleware that redacts `text` alone must not send what it redacts. */
const changedViews = Effect.dieMessage(
  "The text of an answer is not that of its content: a middleware changed one of them alone. Change an answer with Chat.withContent."
)

/** The answers with all choices. */
const callAll = ({
  count,
  llm,
  passesChoices,
  protocol,
  request
}: ChatCall): Effect.Effect<ReadonlyArray<ChatResponse>, LLMError> => {
  const repeated = (times: number) =>
    Effect.replicateEffect(llm.chat(withoutN(request)), times, { concurrency: "unbounded" })
  if (count === 1) return Effect.map(llm.chat(request), Array.of)
  if (!passesChoices) return repeated(count)
  return Effect.flatMap(llm.chat(request), (answer) =>
    // A middleware changes one choice, and a cache has one: the others come from calls of their own.
    Passthrough.textOf(protocol, answer) !== undefined
      ? Effect.succeed([answer])
      : Effect.map(repeated(count - 1), (others) => [answer, ...others])
  )
}

const respondWhole = (call: ChatCall): Effect.Effect<void, HttpErrors.HttpError> => {
  const { body, context, createdAt, headers, hot, protocol } = call
  const send = (responses: ReadonlyArray<ChatResponse>): void => {
    const [only, ...others] = responses
    const text = only === undefined || others.length > 0 ? undefined : Passthrough.textOf(protocol, only)
    const served = { request: body, createdAt }
    if (only !== undefined && text !== undefined) context.owners.addResponse(only)
    hot.response.send(200, headers(), text ?? JSON.stringify(Choices.encode(protocol.wire, responses, served)))
  }
  return Effect.matchEffect(callAll(call), {
    onFailure: (error) => Effect.fail(HttpErrors.fromLLMError(error)),
    onSuccess: (responses) => (responses.every(hasOwnViews) ? Effect.sync(() => send(responses)) : changedViews)
  })
}

const respondStreaming = ({
  body,
  context,
  count,
  createdAt,
  headers,
  hot,
  llm,
  protocol,
  request
}: ChatCall): Effect.Effect<void, HttpErrors.HttpError> => {
  const open = openChat(llm, request)
  return count === 1
    ? Streaming.respond(
        hot,
        open,
        Passthrough.streamEncoder(protocol, body, createdAt, context.owners),
        context.keepAlive,
        headers
      )
    : Streaming.respond(
        hot,
        Choices.openAll(Array.from({ length: count }, () => open)),
        Choices.streamEncoder(protocol.wire, body, count, createdAt),
        context.keepAlive,
        headers
      )
}

/** The route of a chat protocol. */
export const route = (context: GatewayContext, protocol: Protocol): HotRoute => {
  const { path, wire } = protocol
  const { owners } = context
  const isChatCompletions = wire.name === "chat-completions"

  /** Checks a decoded request against the model that it names, and calls it. */
  const respond = (
    hot: HotCall,
    { json: body, text }: Body.Body,
    isStream: boolean,
    chatRequest: ChatRequest,
    llm: LLMService
  ): Effect.Effect<void, HttpErrors.HttpError> => {
    const count = isChatCompletions ? choiceCount(body, context.maxChoices) : Either.right(1)
    if (Either.isLeft(count)) return Effect.fail(count.left)
    const passesChoices = count.right > 1 && !isStream && llm.info.faithful === true && llm.info.wire === wire.name
    const supported = UnsupportedFields.drop(
      isChatCompletions && count.right === 1 ? withoutN(chatRequest) : chatRequest,
      protocol,
      llm.info.wire
    )
    if (Either.isLeft(supported)) return Effect.fail(supported.left)
    let isReasoningDropped = false
    const onDropped = (isDropped: boolean): void => {
      isReasoningDropped = isDropped
    }
    const source = { text, body, headers: hot.request.headers, onDropped }
    const withBody = Passthrough.withBody(protocol, source, owners.claim(supported.right.request))
    const request = Requests.ofSchema(count.right === 1 || passesChoices ? withBody : withoutN(withBody))
    if (Either.isLeft(request)) return Effect.fail(HttpErrors.fromLLMError(request.left))
    const headers = () =>
      UnsupportedFields.droppedHeader([
        ...supported.right.dropped,
        ...(isReasoningDropped ? ["messages.reasoning.signature"] : [])
      ])
    return Effect.clockWith((clock) => {
      const createdAt = Math.floor(clock.unsafeCurrentTimeMillis() / 1000)
      const call: ChatCall = {
        context,
        hot,
        protocol,
        llm,
        request: request.right,
        body,
        count: count.right,
        passesChoices,
        createdAt,
        headers
      }
      return isStream ? respondStreaming(call) : respondWhole(call)
    })
  }

  return {
    path,
    operation: "chat",
    ...(protocol.overloadedStatus === undefined ? {} : { overloadedStatus: protocol.overloadedStatus }),
    rawProtocol: wire.name,
    encodeError: wire.encodeError,
    answer: (hot) =>
      Effect.flatMap(Body.read(hot.request, context.bodyLimits, hot.account), (body) => {
        hot.setRequested(body.json)
        const decoded = wire.decodeRequest(body.json, { path, headers: hot.request.headers })
        if (Either.isLeft(decoded)) return Effect.fail(HttpErrors.fromWireFailure(decoded.left))
        const { model, ...chatRequest } = decoded.right.request
        return Effect.flatMap(context.resolveModel(hot.caller, model), (llm) =>
          respond(hot, body, decoded.right.stream, chatRequest, llm)
        )
      })
  }
}
