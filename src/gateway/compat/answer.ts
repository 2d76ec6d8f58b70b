/** Answers of the simple API: `{"result"}`, the text itself as it is written, or server-sent events. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect } from "effect"
import { IncomingMessage } from "node:http"
import type { ChatResponse, ToolCall } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import { fromStream } from "../../call/openStream.js"
import { encodeCall } from "../../wire/chatCompletions/toolCalls.js"
import * as Framing from "../../wire/Framing.js"
import * as Problem from "../http/error.js"
import * as Streaming from "../chat/sse.js"
import type { Handler, GatewayContext } from "../http/context.js"
import type { Question } from "./question.js"

/** What is told beside the text: calls of tools, which a client that knows nothing of them passes over. */
const calls = (toolCalls: ReadonlyArray<ToolCall>) =>
  toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(encodeCall) }

/** The result is null where the model calls tools and says nothing. */
const bodyOf = ({ refusal, text, toolCalls }: ChatResponse) => ({
  result: text === "" && toolCalls.length > 0 ? null : text === "" ? refusal : text,
  ...calls(toolCalls)
})

export const whole = ({ running }: GatewayContext, { headers, llm, request }: Question): Handler =>
  Effect.map(running.withinDeadline(Effect.mapError(llm.chat(request), Problem.ofError)), (response) =>
    HttpServerResponse.unsafeJson(bodyOf(response), { headers })
  )

// -------------------------------------------------------------------------------------
// streams
// -------------------------------------------------------------------------------------

/** A stream that is being opened. At the deadline of a gateway that shuts down it is closed. */
const opened = ({ running }: GatewayContext, { llm, request }: Question) =>
  Effect.gen(function* () {
    let cut = false
    const opening = yield* Streaming.begin(fromStream(llm.chatStream(request)))
    yield* running.onDeadline(
      Effect.suspend(() => {
        cut = true
        return opening.close
      })
    )
    return Streaming.sourceOf(opening, () => cut)
  })

type Manner = Streaming.Manner<ChatEvent>

const textOf = (event: ChatEvent): string =>
  event._tag === "TextDelta" || event._tag === "RefusalDelta" ? event.text : ""

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
    ...Streaming.sse,
    write: (all) => {
      let text = ""
      for (const event of all) text += written(event)
      return text
    },
    fail: ({ message }) =>
      Effect.succeed(Framing.render("sse", { event: "error", data: JSON.stringify({ error: message }) }))
  }
}

/** The text itself, or events for whoever asks for them. */
export const streamed = (surroundings: GatewayContext, question: Question): Handler =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const source = yield* opened(surroundings, question)
    const manner = (request.headers["accept"] ?? "").includes("text/event-stream") ? events() : plain(request)
    return yield* Streaming.respond(source, manner, surroundings.keepAlive, question.headers)
  })
