/** The route of a chat protocol: decodes the request, calls the model, and encodes the answer whole or as a stream. */
import { Effect, Either } from "effect"
import type { ChatRequest, ChatResponse } from "../../vocabulary/Chat.js"
import { withContent } from "../../vocabulary/Chat.js"
import { openChat } from "../../call/openStream.js"
import * as Requests from "../../call/request.js"
import type { ModelInfo, Service as LLMService } from "../../call/model.js"
import { KeyPin } from "../../call/keyOwner.js"
import * as Signatures from "../../call/signatures.js"
import { isRecord, number, parseJson } from "../../wire/json.js"
import * as Body from "../http/body.js"
import * as Choices from "./choices.js"
import * as CustomTools from "./customTools.js"
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
import { fromEither } from "../../internal/asEffect.js"

/** A decoded request with the model that it names. */
interface ChatCall {
  readonly context: GatewayContext
  readonly hot: HotCall
  readonly protocol: Protocol
  readonly llm: LLMService
  readonly request: ChatRequest
  /** The body of the request as the client sent it, without what was dropped. */
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
  const { body, context, count, createdAt, headers, hot, llm, now, protocol, record, request } = call
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
  const send = (responses: ReadonlyArray<ChatResponse>): Effect.Effect<void> => {
    if (!responses.every(hasOwnViews)) return changedViews
    hot.response.send(200, headers(), textOf(responses))
    return Effect.void
  }
  const failWith = (error: LLMError) => Effect.fail(HttpErrors.fromLLMError(error))
  return count === 1
    ? Effect.matchEffect(llm.chat(request), { onFailure: failWith, onSuccess: (response) => send([response]) })
    : Effect.matchEffect(callAll(call), { onFailure: failWith, onSuccess: send })
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
  readonly owner?: Signatures.Maker | undefined
  /** What answers where that account is out; nothing does without it. */
  readonly elsewhere?: () => Effect.Effect<void, HttpErrors.HttpError>
}

/** Whether an account cannot answer now, or no longer has what a request refers to. A model that waits for a limited one has done so. */
const isOut = ({ error }: HttpErrors.HttpError, { onOwnerUnavailable }: ModelInfo): boolean => {
  if (error === undefined) return false
  if (error._tag === "RateLimitError") return onOwnerUnavailable !== "wait" && error.source !== "limiter"
  return (
    LLMErrors.isKeyScoped(error) ||
    error._tag === "KeyPoolExhaustedError" ||
    ((error.status === 400 || error.status === 404) && /not found/i.test(error.message))
  )
}

/** Whether a provider fails, so that a group calls another one. */
const isDown = ({ error }: HttpErrors.HttpError): boolean =>
  error?._tag === "ProviderUnavailableError" || error?._tag === "NetworkError"

/** Whether a request goes on with a conversation that only Anthropic has: without its history, an answer would be wrong. */
const continuesThread = ({ thread }: Record<string, unknown>): boolean =>
  isRecord(thread) && thread["type"] === "continue"

/** The route of a chat protocol. */
export const route = (context: GatewayContext, protocol: Protocol): HotRoute => {
  const { path, wire } = protocol
  const { owners } = context
  const isChatCompletions = wire.name === "chat-completions"

  /** The request as the provider of a model gets it. */
  const supportedBy = (
    hot: HotCall,
    request: ChatRequest,
    { info }: LLMService
  ): Either.Either<UnsupportedFields.SupportedRequest, HttpErrors.HttpError> => {
    const asked = UnsupportedFields.askedBy(hot.request.headers)
    if (Either.isLeft(asked)) return Either.left(asked.left)
    return Either.mapLeft(UnsupportedFields.drop(request, protocol, info, asked.right), (error) => {
      const { param = "" } = error
      const isReference = param === "previous_response_id" || param === "item_reference"
      return isReference ? HttpErrors.noResponseStore(`'${param}'`, param) : error
    })
  }

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
    const supported = supportedBy(
      hot,
      isChatCompletions && count.right === 1 ? withoutN(chatRequest) : chatRequest,
      llm
    )
    if (Either.isLeft(supported)) return Effect.fail(supported.left)
    let isReasoningDropped = false
    const onDropped = (isDropped: boolean): void => {
      isReasoningDropped = isDropped
    }
    const sent = original?.json ?? body
    const { dropped } = supported.right
    const source = { text, body, headers: hot.request.headers, onDropped }
    const withBody = Passthrough.withBody(protocol, source, supported.right.request)
    const request = Requests.ofSchema(count.right === 1 || passesChoices ? withBody : withoutN(withBody))
    if (Either.isLeft(request)) return Effect.fail(HttpErrors.fromLLMError(request.left))
    const headers = () =>
      UnsupportedFields.droppedHeader([...dropped, ...(isReasoningDropped ? ["messages.reasoning.signature"] : [])])
    return Effect.clockWith((clock) => {
      const now = () => Math.floor(clock.unsafeCurrentTimeMillis() / 1000)
      const call: ChatCall = {
        context,
        hot,
        protocol,
        llm: CustomTools.restoring(llm, supported.right.translatedTools),
        request: request.right,
        body: dropped.length === 0 ? sent : UnsupportedFields.repeated(sent, dropped),
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

  /** The account that made the reasoning in a request to a group, which would call any of its members. */
  const makerInGroup = (model: string | undefined, request: ChatRequest): Signatures.Maker | undefined => {
    const maker = Signatures.lastMaker(request)
    return maker !== undefined &&
      context.models.list.some(
        ({ aliases, members, name }) => members !== undefined && (name === model || aliases.includes(model ?? ""))
      )
      ? maker
      : undefined
  }

  const decode = ({ body, hot }: Question) => wire.decodeRequest(body.json, { path, headers: hot.request.headers })

  /** Fails for a request that the provider of its model cannot get. */
  const check = (question: Question): Effect.Effect<void, HttpErrors.HttpError> => {
    const { hot } = question
    const decoded = decode(question)
    if (Either.isLeft(decoded)) return Effect.fail(HttpErrors.fromWireFailure(decoded.left))
    const { model, ...chatRequest } = decoded.right.request
    return Effect.flatMap(context.resolveModel(hot.caller, model), (llm) =>
      fromEither(supportedBy(hot, chatRequest, llm))
    )
  }

  const answer = (question: Question): Effect.Effect<void, HttpErrors.HttpError> => {
    const { elsewhere, hot, owner } = question
    const decoded = decode(question)
    if (Either.isLeft(decoded)) return Effect.fail(HttpErrors.fromWireFailure(decoded.left))
    const { request, stream } = decoded.right
    const { model, ...unclaimed } = request

    /** Answers by the keys of an account alone. */
    const pinned = (
      chatRequest: ChatRequest,
      maker: Signatures.Maker,
      isOutFor: (error: HttpErrors.HttpError, info: ModelInfo) => boolean,
      otherwise: (() => Effect.Effect<void, HttpErrors.HttpError>) | undefined
    ): Effect.Effect<void, HttpErrors.HttpError> =>
      Effect.matchEffect(context.resolveModel(hot.caller, model, maker), {
        onFailure: (error) =>
          otherwise !== undefined && error.code === HttpErrors.noOwner.code ? otherwise() : Effect.fail(error),
        onSuccess: (llm) => {
          const answered = Effect.provideService(respond(question, stream, chatRequest, llm), KeyPin, maker.account)
          return otherwise === undefined
            ? answered
            : Effect.catchIf(answered, (error) => isOutFor(error, llm.info), otherwise)
        }
      })

    const claimed = (): Effect.Effect<void, HttpErrors.HttpError> => {
      const chatRequest = owners.claim(unclaimed)
      if (owner !== undefined) return pinned(chatRequest, owner, isOut, elsewhere)
      const unpinned = () =>
        Effect.flatMap(context.resolveModel(hot.caller, model), (llm) => respond(question, stream, chatRequest, llm))
      const maker = makerInGroup(model, chatRequest)
      return maker === undefined
        ? unpinned()
        : pinned(chatRequest, maker, (error, info) => isOut(error, info) || isDown(error), unpinned)
    }

    const loaded = owners.load(unclaimed)
    return loaded === undefined ? claimed() : Effect.flatMap(loaded, claimed)
  }

  const answerAt = (question: Question, account: Account | undefined): Effect.Effect<void, HttpErrors.HttpError> =>
    answer(
      account === undefined ? question : { ...question, owner: Signatures.makerOf(account.provider, account.keyId) }
    )

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
    return answerAt({ ...question, asked, body: owned.body, elsewhere: () => elsewhere }, owned.owner)
  }

  return {
    path,
    operation: "chat",
    ...(protocol.overloadedStatus === undefined ? {} : { overloadedStatus: protocol.overloadedStatus }),
    rawProtocol: wire.name,
    encodeError: wire.encodeError,
    answer: (hot) =>
      Effect.flatMap(Body.read(hot.request, context.bodyLimits, hot.account), (body) => {
        hot.setRequested(body.json, body.text)
        return wire.name === "responses"
          ? StoredResponses.answer(context, { hot, body }, { check, plain: answerAt, referring: answerReferring })
          : answer({ hot, body })
      })
  }
}
