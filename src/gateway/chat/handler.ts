/** A question in any protocol, asked of any model, answered whole or as a stream. */
import { HttpServerRequest } from "@effect/platform"
import { Clock, Effect } from "effect"
import type { ChatRequest } from "../../vocabulary/Chat.js"
import { fromStream } from "../../call/openStream.js"
import { WantsRawResponse } from "../../call/passthrough.js"
import type { Service as LLMService } from "../../call/model.js"
import { number } from "../../wire/json.js"
import * as Answer from "../http/response.js"
import * as Body from "../http/body.js"
import * as Choices from "./choices.js"
import * as Authentication from "../auth/authenticate.js"
import * as Problem from "../http/error.js"
import type { Protocol } from "./model.js"
import * as Relayed from "./passthrough.js"
import * as Streaming from "./sse.js"
import type { Handler, GatewayContext } from "../http/context.js"
import { modelFor } from "../http/context.js"
import * as UnsupportedFields from "./unsupportedFields.js"

/** A question that is ready to be asked. */
export interface Question {
  readonly surroundings: GatewayContext
  readonly protocol: Protocol
  readonly llm: LLMService
  readonly request: ChatRequest
  /** As the client wrote it. */
  readonly body: Record<string, unknown>
  /** How many answers are wanted. */
  readonly count: number
  /** In seconds since the epoch. */
  readonly createdAt: number
  /** Headers of the answer. */
  readonly headers: Readonly<Record<string, string>>
}

const seconds = Effect.map(Clock.currentTimeMillis, (now) => Math.floor(now / 1000))

/** How many answers are wanted; only one of the protocols can say. */
const countOf = (body: Record<string, unknown>, most: number): Effect.Effect<number, Problem.Problem> => {
  const wanted = body["n"]
  if (wanted === undefined || wanted === null) return Effect.succeed(1)
  const count = number(body, "n") ?? 0
  return Number.isInteger(count) && count >= 1 && count <= most
    ? Effect.succeed(count)
    : Effect.fail(Problem.invalid(`Invalid value for 'n': expected a whole number from 1 to ${most}.`, "n"))
}

/** `n` is answered here, and no provider is asked for more than one. */
const withoutCount = ({ extra, ...request }: ChatRequest): ChatRequest => {
  if (extra === undefined) return request
  const { n: _, ...others } = extra
  return Object.keys(others).length === 0 ? request : { ...request, extra: others }
}

const whole = (question: Question): Handler => {
  const { body, count, createdAt, headers, llm, protocol, request, surroundings } = question
  const answer = Effect.mapError(llm.chat(request), Problem.ofError)
  const answers =
    count === 1
      ? Effect.map(Effect.provideService(answer, WantsRawResponse, protocol.wire.name), Array.of)
      : Effect.replicateEffect(answer, count, { concurrency: "unbounded" })
  return Effect.map(surroundings.running.withinDeadline(answers), (responses) => {
    const [only] = responses
    const text = only === undefined ? undefined : Relayed.textOf(protocol, only)
    return text === undefined
      ? Answer.json(Choices.encode(protocol.wire, responses, { request: body, createdAt }), { headers })
      : Answer.text(text, { headers })
  })
}

/** Opens as many streams as there are to be answers. At the deadline they are closed, and say so. */
const openings = ({ count, llm, protocol, request, surroundings }: Question) =>
  Effect.gen(function* () {
    let cut = false
    const open = fromStream(llm.chatStream(request))
    // What several providers send goes nowhere: several answers are told as one.
    const wanted = count === 1 ? Effect.provideService(open, WantsRawResponse, protocol.wire.name) : open
    const all = yield* Effect.replicateEffect(Streaming.begin(wanted), count)
    yield* surroundings.running.onDeadline(
      Effect.suspend(() => {
        cut = true
        return Effect.forEach(all, ({ close }) => close, { discard: true, concurrency: "unbounded" })
      })
    )
    return { all, isCut: () => cut }
  })

const streamed = (question: Question): Handler =>
  Effect.gen(function* () {
    const { body, count, createdAt, headers, protocol, surroundings } = question
    const { all, isCut } = yield* openings(question)
    const [first, ...others] = all
    if (first !== undefined && others.length === 0) {
      const manner = Relayed.manner(protocol, body, createdAt)
      return yield* Streaming.respond(Streaming.sourceOf(first, isCut), manner, surroundings.keepAlive, headers)
    }
    const source = yield* Choices.merged(all, isCut)
    const manner = Choices.manner(protocol.wire, body, count, createdAt)
    return yield* Streaming.respond(source, manner, surroundings.keepAlive, headers)
  })

/** The route of a protocol. */
export const handler = (surroundings: GatewayContext, protocol: Protocol): Handler =>
  Authentication.authenticated(surroundings, (caller) =>
    Effect.gen(function* () {
      const body = yield* Body.read(surroundings.maxBodySize)
      const { headers } = yield* HttpServerRequest.HttpServerRequest
      const decoded = yield* Effect.mapError(
        protocol.wire.decodeRequest(body, { path: protocol.path, headers }),
        Problem.ofFailure
      )
      const { model, ...asked } = decoded.request
      const llm = yield* modelFor(surroundings, caller, model)
      const isChatCompletions = protocol.wire.name === "chat-completions"
      const count = isChatCompletions ? yield* countOf(body, surroundings.maxChoices) : 1
      const { dropped, request } = yield* UnsupportedFields.translate(
        isChatCompletions ? withoutCount(asked) : asked,
        protocol,
        llm.info.wire
      )
      const question: Question = {
        surroundings,
        protocol,
        llm,
        request,
        body,
        count,
        createdAt: yield* seconds,
        headers: UnsupportedFields.header(dropped)
      }
      return yield* decoded.stream ? streamed(question) : whole(question)
    })
  )
