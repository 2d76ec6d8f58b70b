/** Answers of the simple API: `{"result"}`, the text itself as it is written, or server-sent events. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import type { Duration } from "effect"
import { Cause, Chunk, Effect, Exit, Option, Stream } from "effect"
import { IncomingMessage } from "node:http"
import type { ChatResponse, ToolCall } from "../../Chat.js"
import type { ChatEvent } from "../../ChatEvent.js"
import type { LLMError } from "../../LLMError.js"
import { encodeCall } from "../../wire/chatCompletions/calls.js"
import * as Framing from "../../wire/Framing.js"
import * as Opening from "../opening.js"
import * as Problem from "../problem.js"
import * as Streaming from "../streaming.js"
import type { Handler, Surroundings } from "../surroundings.js"
import type { Question } from "./question.js"

/** What is told beside the text: calls of tools, which a client that knows nothing of them passes over. */
const calls = (toolCalls: ReadonlyArray<ToolCall>) =>
  toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(encodeCall) }

/** The result is null where the model calls tools and says nothing. */
const bodyOf = ({ refusal, text, toolCalls }: ChatResponse) => ({
  result: text === "" && toolCalls.length > 0 ? null : text === "" ? refusal : text,
  ...calls(toolCalls)
})

export const whole = ({ running }: Surroundings, { headers, llm, request }: Question): Handler =>
  Effect.map(running.withinDeadline(Effect.mapError(llm.chat(request), Problem.ofError)), (response) =>
    HttpServerResponse.unsafeJson(bodyOf(response), { headers })
  )

// -------------------------------------------------------------------------------------
// streams
// -------------------------------------------------------------------------------------

/** A stream that is being opened. At the deadline of a gateway that shuts down it is closed. */
const opened = ({ running }: Surroundings, { llm, request }: Question) =>
  Effect.gen(function* () {
    let cut = false
    let pull: Streaming.Source<ChatEvent>["pull"] = Effect.fail(Option.none())
    const opening = yield* Opening.begin(llm.chatStream(request))
    yield* running.onDeadline(
      Effect.suspend(() => {
        cut = true
        return opening.close
      })
    )
    const source: Streaming.Source<ChatEvent> = {
      await: Effect.map(
        opening.await,
        Exit.map(({ first, pull: rest }) => {
          pull = rest
          return first
        })
      ),
      pull: Effect.suspend(() => pull),
      isCut: () => cut
    }
    return source
  })

const textOf = (event: ChatEvent): string =>
  event._tag === "TextDelta" || event._tag === "RefusalDelta" ? event.text : ""

/** How a stream is written. There is one for each. */
interface Manner {
  readonly contentType: string
  readonly write: (events: Chunk.Chunk<ChatEvent>) => string
  /** The last words of a stream that fails. */
  readonly fail: (problem: Problem.Problem) => Effect.Effect<string>
  /** What is said while the beginning is awaited; absent where nothing can be, and headers wait for it. */
  readonly comment?: string
}

type Bytes = Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<never>>

const end: Bytes = Effect.fail(Option.none())

const encoder = new TextEncoder()

const bytesOf = (text: string): Chunk.Chunk<Uint8Array> =>
  text === "" ? Chunk.empty() : Chunk.of(encoder.encode(text))

const written = (
  source: Streaming.Source<ChatEvent>,
  begun: Option.Option<Chunk.Chunk<ChatEvent>>,
  { comment = "", fail, write }: Manner,
  keepAlive: Duration.Duration
): Stream.Stream<Uint8Array> => {
  let next: Bytes

  const given = (events: Chunk.Chunk<ChatEvent>): Bytes => {
    next = pulling
    return Effect.succeed(bytesOf(write(events)))
  }

  const failed = (cause: Cause.Cause<LLMError>): Bytes => {
    next = end
    return Effect.zipRight(
      Cause.isDie(cause) ? Effect.logError("a stream died", cause) : Effect.logDebug("a stream failed", cause),
      Effect.map(fail(Streaming.problemOf(source, cause)), bytesOf)
    )
  }

  const pulling: Bytes = Effect.matchCauseEffect(source.pull, {
    onSuccess: given,
    onFailure: (cause): Bytes => {
      const failure = Cause.failureOption(cause)
      if (!source.isCut() && Option.isSome(failure) && Option.isNone(failure.value)) return end
      // The client has left: there is nobody to tell.
      if (!source.isCut() && Cause.isInterruptedOnly(cause)) return Effect.interrupt
      return failed(
        Cause.flatMap(cause, (error) => Option.match(error, { onNone: () => Cause.empty, onSome: Cause.fail }))
      )
    }
  })

  const beginning: Bytes = Effect.flatMap(Effect.timeoutOption(source.await, keepAlive), (soon) =>
    Option.match(soon, {
      onNone: () => Effect.succeed(bytesOf(comment)),
      onSome: (exit) => Exit.match(exit, { onSuccess: given, onFailure: failed })
    })
  )

  next = Option.match(begun, { onNone: () => beginning, onSome: (first) => Effect.suspend(() => given(first)) })
  return Stream.repeatEffectChunkOption(Effect.suspend(() => next))
}

/** No proxy gathers it (nginx: `X-Accel-Buffering`) or packs it (`no-transform`). */
const unbuffered = { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" }

/** What fails before the headers are sent has its own status. */
const respond = (surroundings: Surroundings, question: Question, manner: Manner): Handler =>
  Effect.gen(function* () {
    const { keepAlive } = surroundings
    const source = yield* opened(surroundings, question)
    const soon =
      manner.comment === undefined
        ? Option.some(yield* source.await)
        : yield* Effect.timeoutOption(source.await, keepAlive)
    if (Option.isSome(soon) && Exit.isFailure(soon.value)) {
      return yield* Effect.fail(Streaming.problemOf(source, soon.value.cause))
    }
    const begun = Option.flatMap(soon, (exit) => (Exit.isSuccess(exit) ? Option.some(exit.value) : Option.none()))
    return HttpServerResponse.stream(written(source, begun, manner, keepAlive), {
      contentType: manner.contentType,
      headers: { ...unbuffered, ...question.headers }
    })
  })

/** The text itself. It has no word for its own failure and must not end as if it were whole: its connection is broken off. */
const plain = (request: HttpServerRequest.HttpServerRequest): Manner => ({
  contentType: "text/plain; charset=utf-8",
  write: (events) => {
    let text = ""
    for (const event of events) text += textOf(event)
    return text
  },
  fail: () =>
    Effect.sync(() => {
      if (request.source instanceof IncomingMessage) NodeHttpServerRequest.toServerResponse(request).destroy()
      return ""
    })
})

/** `{"result"}` for each piece, `{"tool_calls"}` where there are any, `{"error"}` at a failure; `[DONE]` at the end. */
const events = (): Manner => {
  const toolCalls: Array<ToolCall> = []
  const told = (body: unknown): string => Framing.render("sse", { data: JSON.stringify(body) })
  const written = (event: ChatEvent): string => {
    if (event._tag === "ToolCallEnd") toolCalls.push(event.call)
    if (event._tag === "Finish") {
      return `${toolCalls.length === 0 ? "" : told(calls(toolCalls))}${Framing.render("sse", { data: "[DONE]" })}`
    }
    const text = textOf(event)
    return text === "" ? "" : told({ result: text })
  }
  return {
    contentType: "text/event-stream; charset=utf-8",
    write: (all) => {
      let text = ""
      for (const event of all) text += written(event)
      return text
    },
    fail: ({ message }) =>
      Effect.succeed(Framing.render("sse", { event: "error", data: JSON.stringify({ error: message }) })),
    comment: ": keep-alive\n\n"
  }
}

/** The text itself, or events for whoever asks for them. */
export const streamed = (surroundings: Surroundings, question: Question): Handler =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) =>
    respond(
      surroundings,
      question,
      (request.headers["accept"] ?? "").includes("text/event-stream") ? events() : plain(request)
    )
  )
