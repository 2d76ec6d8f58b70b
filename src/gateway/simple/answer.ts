/** Answers of the simple API: `{"result"}`, the text itself as it is written, or server-sent events. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Cause, Chunk, Effect, Exit, Option, Stream } from "effect"
import { IncomingMessage } from "node:http"
import type { ChatResponse, ToolCall } from "../../Chat.js"
import type { ChatEvent } from "../../ChatEvent.js"
import { encodeCall } from "../../wire/chatCompletions/calls.js"
import type { Frame } from "../../wire/Wire.js"
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

const encoder = new TextEncoder()

const bytesOf = (events: Chunk.Chunk<ChatEvent>): Chunk.Chunk<Uint8Array> => {
  let text = ""
  for (const event of events) text += textOf(event)
  return text === "" ? Chunk.empty() : Chunk.of(encoder.encode(text))
}

/** A text has no word for its own failure: it must not end as if it were whole, and so its connection is broken off. */
const broken = (request: HttpServerRequest.HttpServerRequest): Effect.Effect<void> =>
  Effect.sync(() => {
    if (request.source instanceof IncomingMessage) NodeHttpServerRequest.toServerResponse(request).destroy()
  })

const pieces = (
  request: HttpServerRequest.HttpServerRequest,
  first: Chunk.Chunk<ChatEvent>,
  source: Streaming.Source<ChatEvent>
): Stream.Stream<Uint8Array> => {
  let isFirst = true
  const next: Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<never>> = Effect.suspend(() => {
    if (isFirst) {
      isFirst = false
      return Effect.succeed(bytesOf(first))
    }
    return Effect.matchCauseEffect(source.pull, {
      onSuccess: (events) => Effect.succeed(bytesOf(events)),
      onFailure: (cause) => {
        const failure = Cause.failureOption(cause)
        if (!source.isCut() && Option.isSome(failure) && Option.isNone(failure.value)) return Effect.fail(Option.none())
        if (!source.isCut() && Cause.isInterruptedOnly(cause)) return Effect.interrupt
        return broken(request).pipe(
          Effect.zipRight(Effect.logDebug("a stream failed", cause)),
          Effect.zipRight(Effect.fail(Option.none()))
        )
      }
    })
  })
  return Stream.repeatEffectChunkOption(next)
}

/** No proxy gathers it (nginx: `X-Accel-Buffering`) or packs it (`no-transform`). */
const unbuffered = { "cache-control": "no-cache, no-transform", "x-accel-buffering": "no" }

/** The text as it is written, nothing around it. Headers wait for its beginning, so that what fails before has its status. */
const plain = (surroundings: Surroundings, question: Question): Handler =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const source = yield* opened(surroundings, question)
    const exit = yield* source.await
    if (Exit.isFailure(exit)) return yield* Effect.fail(Streaming.problemOf(source, exit.cause))
    return HttpServerResponse.stream(pieces(request, exit.value, source), {
      contentType: "text/plain; charset=utf-8",
      headers: { ...unbuffered, ...question.headers }
    })
  })

/** `{"result"}` for each piece, `{"tool_calls"}` where there are any, `{"error"}` at a failure; `[DONE]` at the end. */
const writer = (): Streaming.Writer<ChatEvent> => {
  const toolCalls: Array<ToolCall> = []
  const frame = (body: unknown): Frame => ({ data: JSON.stringify(body) })
  return {
    push: (event) => {
      if (event._tag === "ToolCallEnd") toolCalls.push(event.call)
      if (event._tag === "Finish") {
        return [...(toolCalls.length === 0 ? [] : [frame(calls(toolCalls))]), { data: "[DONE]" }]
      }
      const text = textOf(event)
      return text === "" ? [] : [frame({ result: text })]
    },
    fail: ({ message }) => [{ event: "error", data: JSON.stringify({ error: message }) }]
  }
}

const events = (surroundings: Surroundings, question: Question): Handler =>
  Effect.gen(function* () {
    const { keepAlive } = surroundings
    const source = yield* opened(surroundings, question)
    const soon = yield* Effect.timeoutOption(source.await, keepAlive)
    if (Option.isSome(soon) && Exit.isFailure(soon.value)) {
      return yield* Effect.fail(Streaming.problemOf(source, soon.value.cause))
    }
    return Streaming.response(Streaming.bytes(source, writer(), keepAlive), question.headers)
  })

/** The text itself, or events for whoever asks for them. */
export const streamed = (surroundings: Surroundings, question: Question): Handler =>
  Effect.flatMap(HttpServerRequest.HttpServerRequest, ({ headers }) =>
    (headers["accept"] ?? "").includes("text/event-stream")
      ? events(surroundings, question)
      : plain(surroundings, question)
  )
