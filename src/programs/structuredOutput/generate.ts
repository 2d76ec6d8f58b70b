/** Asks an `LLM` for a value, decodes it, and repairs it once. */
import { Effect, Option, Stream } from "effect"
import type { Service } from "../../call/model.js"
import { asObject } from "../../call/request.js"
import type { ChatRequest, ChatResponse, Message } from "../../vocabulary/Chat.js"
import { toMessage, withContent } from "../../vocabulary/Chat.js"
import * as Events from "../../vocabulary/ChatEvent.js"
import type { LLMError } from "../../vocabulary/LLMError.js"
import { ContentFilterError, MalformedResponseError } from "../../vocabulary/LLMError.js"
import * as Usage from "../../vocabulary/Usage.js"
import { isRecord } from "../../wire/json.js"
import { eventsOf } from "../eventsOf.js"
import * as Generated from "../tools/generated.js"
import type { Event, Options, Result } from "./model.js"
import type { Fault, ModeHandler, OutputFormat, Request } from "./modes.js"
import * as Modes from "./modes.js"
import * as Partials from "./partials.js"
import * as Mailbox from "../../internal/mailbox.js"

const errorContext = ({ attempts, keyId, model, provider }: ChatResponse) => ({ attempts, keyId, model, provider })

const contentFilterError = (response: ChatResponse): ContentFilterError =>
  new ContentFilterError({
    ...errorContext(response),
    message:
      response.refusal === ""
        ? "The provider's safety system cut the answer off."
        : `The model declined to answer: ${response.refusal.slice(0, Modes.maxExcerpt)}`
  })

const truncation: Pick<Fault, "message"> = {
  message: "It was cut off at its token limit. Raise maxTokens, or ask for less."
}

/** The maximum number of requests for an answer that its provider interrupts (finish reason `pause`), as in tool loops. */
const maxRounds = 8

const interruption: Pick<Fault, "message"> = { message: `Its provider has interrupted it ${maxRounds} times.` }

const malformedError = (
  response: ChatResponse,
  fault: Fault,
  usage: Usage.Usage,
  format: OutputFormat
): MalformedResponseError => {
  const { content, id, model } = response
  return new MalformedResponseError({
    ...errorContext(response),
    path: fault.path,
    excerpt: fault.excerpt,
    message: `The answer is not a valid ${format.name}. ${fault.message}`,
    // An error with a `partial` is not retried: the repair was the second attempt.
    partial: withContent({ id, model, usage }, content)
  })
}

/** Sends the request of a round and returns its whole answer. Rounds count from 1. */
type Send = (request: Request, round: number) => Effect.Effect<ChatResponse, LLMError>

/** What earlier rounds of a call leave for the next one. */
interface Progress {
  readonly round: number
  readonly usage: Usage.Usage
  /** Whether this round repairs an answer. */
  readonly repairs: boolean
}

const start: Progress = { round: 1, usage: Usage.empty, repairs: false }

/** Computes the JSON Schema and the decoder of the options once for all calls. */
const prepare = <A, I, R>(options: Options<A, I, R>) => {
  const { mode = "auto", repair = true } = options
  const format = Modes.outputFormatOf(options)
  const decode = Generated.decoder(options.schema)

  const decodeAnswer = (handler: ModeHandler, response: ChatResponse): Effect.Effect<A, Fault, R> =>
    Option.match(handler.find(response, format), {
      onNone: () =>
        Effect.fail<Fault>({ path: "", excerpt: Modes.excerptOf(response.text), message: "It holds no JSON." }),
      onSome: (json) => {
        const value = format.wrapped && isRecord(json) && "value" in json ? json["value"] : json
        return Effect.mapError(decode(value), (error) => Modes.faultOf(value, error))
      }
    })

  const generateWith = (send: Send, input: ChatRequest.Input): Effect.Effect<Result<A>, LLMError, R> => {
    const ask = (
      handler: ModeHandler,
      request: Request,
      { repairs, round, usage: earlier }: Progress = start
    ): Effect.Effect<Result<A>, LLMError, R> =>
      Effect.flatMap(send(handler.request(request, format), round), (response) => {
        if (response.refusal !== "" || response.finishReason === "content-filter") {
          return Effect.fail(contentFilterError(response))
        }
        const usage = Usage.combine(earlier, response.usage)
        const continueWith = (messages: ReadonlyArray<Message>, repairing: boolean) =>
          ask(
            handler,
            { ...request, messages: [...request.messages, ...messages] },
            { round: round + 1, usage, repairs: repairing }
          )
        const paused = response.finishReason === "pause" && response.toolCalls.length === 0
        if (paused && round < maxRounds) {
          return continueWith([toMessage(response)], repairs)
        }
        return Effect.matchEffect(decodeAnswer(handler, response), {
          onSuccess: (value) => Effect.succeed({ value, response, usage }),
          onFailure: (fault) => {
            const cut = response.finishReason === "length" ? truncation : paused ? interruption : undefined
            return cut === undefined && repair && !repairs
              ? continueWith(Modes.repairMessages(response, fault), true)
              : Effect.fail(malformedError(response, { ...fault, ...cut }, usage, format))
          }
        })
      })

    const request: Request = asObject(input)
    return mode === "auto"
      ? ask(Modes.handlers.native, request).pipe(
          Effect.catchTag("UnsupportedError", () => ask(Modes.handlers.tool, request)),
          Effect.catchTag("UnsupportedError", () => ask(Modes.handlers.prompt, request))
        )
      : ask(Modes.handlers[mode], request)
  }
  return { format, generateWith }
}

/**
 * Makes a function that asks for values of one schema. The JSON Schema is computed once for all calls.
 *
 * @throws when the schema has no JSON Schema and no `jsonSchema` annotation.
 */
export const make = <A, I, R>(
  options: Options<A, I, R>
): ((llm: Pick<Service, "chat">, request: ChatRequest.Input) => Effect.Effect<Result<A>, LLMError, R>) => {
  const { generateWith } = prepare(options)
  return (llm, request) => generateWith((round) => llm.chat(round), request)
}

export const generate = <A, I, R>(
  llm: Pick<Service, "chat">,
  request: ChatRequest.Input,
  options: Options<A, I, R>
): Effect.Effect<Result<A>, LLMError, R> => Effect.suspend(() => make(options)(llm, request))

export const stream = <A, I, R>(
  llm: Pick<Service, "chatStream">,
  request: ChatRequest.Input,
  options: Options<A, I, R>
): Stream.Stream<Event<A>, LLMError, R> =>
  eventsOf<Event<A>, LLMError, R>((mailbox) =>
    Effect.suspend(() => {
      const { format, generateWith } = prepare(options)
      const send: Send = (roundRequest, round) => {
        const read = Partials.makeReader(format)
        return Events.collect(
          Stream.mapChunksEffect(llm.chatStream(roundRequest), (events) =>
            Effect.as(
              Mailbox.offerAll(
                mailbox,
                Array.from(events).flatMap((event) =>
                  read(event).map((value): Event<A> => ({ _tag: "Partial", round, value }))
                )
              ),
              events
            )
          )
        )
      }
      return Effect.flatMap(generateWith(send, request), (result) => Mailbox.offer(mailbox, { _tag: "Finish", result }))
    })
  )
