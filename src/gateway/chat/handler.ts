/** The route of a chat protocol: decodes the request, calls the model, and encodes the answer whole or as a stream. */
import { Effect, Either } from "effect"
import type { ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import { withContent } from "../../vocabulary/Chat.js"
import { openChat } from "../../call/openStream.js"
import * as Requests from "../../call/request.js"
import type { Service as LLMService } from "../../call/model.js"
import { KeyPin } from "../../call/keyPin.js"
import { isRecord, number, parseJson } from "../../wire/json.js"
import * as Body from "../http/body.js"
import * as Choices from "./choices.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import * as LLMErrors from "../../vocabulary/LLMError.js"
import * as HttpErrors from "../http/error.js"
import type { HotCall, HotRoute } from "../http/hotRoute.js"
import type { Protocol } from "./model.js"
import * as Passthrough from "./passthrough.js"
import * as Streaming from "./sse.js"
import type { GatewayContext } from "../http/context.js"
import type { Account } from "../responses/model.js"
import * as Recorder from "../responses/recorder.js"
import type * as References from "../responses/references.js"
import * as StoredResponses from "../responses/service.js"
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
  /** Stores the answer; absent where it is not to be stored. */
  readonly record?: Recorder.Recorder | undefined
  /** The number of choices (`n`). */
  readonly count: number
  /** Whether the provider makes all choices in one call. */
  readonly passesChoices: boolean
  /** In seconds since the epoch. */
  readonly createdAt: number
  readonly now: () => number
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

/** The text of one answer that is stored, too. One that the gateway encodes gets an id that no other answer has. */
const recorded = (
  { body, context, createdAt, now, protocol }: ChatCall,
  response: ChatResponse,
  record: Recorder.Recorder
): string => {
  const raw = Passthrough.rawOf(protocol, response)
  if (raw === undefined) {
    const named = { ...response, id: Recorder.idOf(response.id) }
    const resource = Choices.encode(protocol.wire, [named], { request: body, createdAt, completedAt: now() })
    record(resource, undefined)
    return JSON.stringify(resource)
  }
  context.owners.addResponse(response)
  const resource = parseJson(raw.text)
  if (isRecord(resource)) record(resource, raw.isFaithful ? response : undefined)
  return raw.text
}

const respondWhole = (call: ChatCall): Effect.Effect<void, HttpErrors.HttpError> => {
  const { body, context, createdAt, headers, hot, now, protocol, record } = call
  const textOf = (responses: ReadonlyArray<ChatResponse>): string => {
    const [only, ...others] = responses
    if (only !== undefined && others.length === 0) {
      if (record !== undefined) return recorded(call, only, record)
      const text = Passthrough.textOf(protocol, only)
      if (text !== undefined) {
        context.owners.addResponse(only)
        return text
      }
    }
    return JSON.stringify(Choices.encode(protocol.wire, responses, { request: body, createdAt, completedAt: now() }))
  }
  const send = (responses: ReadonlyArray<ChatResponse>): void => hot.response.send(200, headers(), textOf(responses))
  return Effect.matchEffect(callAll(call), {
    onFailure: (error) => Effect.fail(HttpErrors.fromLLMError(error)),
    onSuccess: (responses) => (responses.every(hasOwnViews) ? Effect.sync(() => send(responses)) : changedViews)
  })
}

const respondStreaming = (call: ChatCall): Effect.Effect<void, HttpErrors.HttpError> => {
  const { body, context, count, createdAt, headers, hot, llm, protocol, record, request } = call
  const open = openChat(llm, request)
  const encoder = () =>
    record === undefined
      ? Passthrough.streamEncoder(protocol, call, context.owners)
      : Recorder.recording(
          Passthrough.streamEncoder(protocol, call, context.owners, Recorder.idOf),
          protocol.wire.name,
          record
        )
  return count === 1
    ? Streaming.respond(hot, open, encoder(), context.keepAlive, headers)
    : Streaming.respond(
        hot,
        Choices.openAll(Array.from({ length: count }, () => open)),
        Choices.streamEncoder(protocol.wire, body, count, createdAt),
        context.keepAlive,
        headers
      )
}

/** What a request is answered with. */
interface Question {
  readonly hot: HotCall
  /** The request that is sent. */
  readonly body: Body.Body
  /** The request as the client sent it, which answers repeat. @default `body` */
  readonly asked?: Body.Body
  readonly record?: Recorder.Recorder | undefined
  /** The only account that can answer. */
  readonly owner?: Account | undefined
}

/** Whether an account cannot answer now, or no longer has what a request refers to. */
const isOut = ({ error }: HttpErrors.HttpError): boolean =>
  error !== undefined &&
  (LLMErrors.isKeyScoped(error) ||
    error._tag === "KeyPoolExhaustedError" ||
    (error._tag === "RateLimitError" && error.source === "pool") ||
    ((error.status === 400 || error.status === 404) && /not found/i.test(error.message)))

/** Whether a request goes on with a conversation that only Anthropic has: without its history, an answer would be wrong. */
const continuesThread = ({ thread }: Record<string, unknown>): boolean =>
  isRecord(thread) && thread["type"] === "continue"

/** The route of a chat protocol. */
export const route = (context: GatewayContext, protocol: Protocol): HotRoute => {
  const { path, wire } = protocol
  const { owners } = context
  const isChatCompletions = wire.name === "chat-completions"

  /** Checks a decoded request against the model that it names, and calls it. */
  const respond = (
    { asked: original, body: { json: body, text }, hot, record }: Question,
    isStream: boolean,
    chatRequest: ChatRequest,
    llm: LLMService
  ): Effect.Effect<void, HttpErrors.HttpError> => {
    const count = isChatCompletions ? choiceCount(body, context.maxChoices) : Either.right(1)
    if (Either.isLeft(count)) return Effect.fail(count.left)
    const passesChoices = count.right > 1 && !isStream && llm.info.faithful === true && llm.info.wire === wire.name
    if (wire.name === "anthropic-messages" && llm.info.wire !== wire.name && continuesThread(body)) {
      return Effect.fail(HttpErrors.threadElsewhere)
    }
    const asked = UnsupportedFields.askedBy(hot.request.headers)
    if (Either.isLeft(asked)) return Effect.fail(asked.left)
    const supported = UnsupportedFields.drop(
      isChatCompletions && count.right === 1 ? withoutN(chatRequest) : chatRequest,
      protocol,
      llm.info,
      asked.right
    )
    if (Either.isLeft(supported)) {
      const { param = "" } = supported.left
      const isReference = param === "previous_response_id" || param === "item_reference"
      return Effect.fail(isReference ? HttpErrors.noResponseStore(`'${param}'`, param) : supported.left)
    }
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
      const now = () => Math.floor(clock.unsafeCurrentTimeMillis() / 1000)
      const call: ChatCall = {
        context,
        hot,
        protocol,
        llm,
        request: request.right,
        body: original?.json ?? body,
        record,
        count: count.right,
        passesChoices,
        createdAt: now(),
        now,
        headers
      }
      return isStream ? respondStreaming(call) : respondWhole(call)
    })
  }

  const answer = (question: Question): Effect.Effect<void, HttpErrors.HttpError> => {
    const { body, hot, owner } = question
    const decoded = wire.decodeRequest(body.json, { path, headers: hot.request.headers })
    if (Either.isLeft(decoded)) return Effect.fail(HttpErrors.fromWireFailure(decoded.left))
    const { model, ...chatRequest } = decoded.right.request
    return Effect.flatMap(context.resolveModel(hot.caller, model, owner), (llm) =>
      respond(question, decoded.right.stream, chatRequest, llm)
    )
  }

  /** Answers by the key of an account alone, where one is given. */
  const answerAt = (question: Question, account: Account | undefined): Effect.Effect<void, HttpErrors.HttpError> =>
    account === undefined
      ? answer(question)
      : Effect.provideService(answer({ ...question, owner: account }), KeyPin, account.keyId)

  /** The owner of what a request refers to gets it with its ids; any other account, and all when the owner is out, with its content. */
  const answerReferring = (
    question: Question,
    { expanded, owned }: References.Resolved,
    account: Account | undefined
  ): Effect.Effect<void, HttpErrors.HttpError> => {
    const asked = question.body
    const { model } = asked.json
    const elsewhere = Effect.flatMap(
      context.resolveModel(question.hot.caller, typeof model === "string" ? model : undefined),
      ({ info }) => {
        const body = expanded(info.wire === wire.name)
        // A short request can refer to a long conversation.
        const { length } = body.text
        const { maxSize } = context.bodyLimits
        const refusal = length > maxSize ? HttpErrors.tooLarge(maxSize) : question.hot.account.add(length)
        return refusal === undefined ? answerAt({ ...question, asked, body }, account) : Effect.fail(refusal)
      }
    )
    if (owned === undefined || (account !== undefined && account.keyId !== owned.owner.keyId)) return elsewhere
    return Effect.catchIf(
      answerAt({ ...question, asked, body: owned.body }, owned.owner),
      (error) => error.code === HttpErrors.noOwner.code || isOut(error),
      () => elsewhere
    )
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
        return wire.name === "responses"
          ? StoredResponses.answer(context, { hot, body }, answerAt, answerReferring)
          : answer({ hot, body })
      })
  }
}
