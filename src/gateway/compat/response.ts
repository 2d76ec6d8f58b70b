/** Responses of the simple API: `{"result"}`, plain text, or server-sent events. */
import { HttpServerRequest, HttpServerResponse } from "@effect/platform"
import { NodeHttpServerRequest } from "@effect/platform-node"
import { Effect } from "effect"
import { IncomingMessage } from "node:http"
import type { ChatResponse, ToolCall } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import { fromStream } from "../../call/openStream.js"
import { encodeCall } from "../../wire/chatCompletions/toolCalls.js"
import * as Framing from "../../wire/framing.js"
import * as HttpErrors from "../http/error.js"
import * as Streaming from "../chat/sse.js"
import type { Handler, GatewayContext } from "../http/context.js"
import type { SimpleRequest } from "./request.js"

export const encodeError = ({ message }: { readonly message: string }): Record<string, unknown> => ({ error: message })

/** Tool calls in a field of their own, which clients without tools ignore. */
const toolCallField = (toolCalls: ReadonlyArray<ToolCall>) =>
  toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(encodeCall) }

/** The result is null where the model calls tools and writes no text. */
const bodyOf = ({ refusal, text, toolCalls }: ChatResponse) => ({
  result: text === "" && toolCalls.length > 0 ? null : text === "" ? refusal : text,
  ...toolCallField(toolCalls)
})

export const respondWhole = ({ requests }: GatewayContext, { headers, llm, request }: SimpleRequest): Handler =>
  Effect.map(requests.withinDeadline(Effect.mapError(llm.chat(request), HttpErrors.fromLLMError)), (response) =>
    HttpServerResponse.unsafeJson(bodyOf(response), { headers })
  )

// -------------------------------------------------------------------------------------
// streams
// -------------------------------------------------------------------------------------

/** Opens a stream in the background, and closes it at the shutdown deadline. */
const openStream = ({ requests }: GatewayContext, { llm, request }: SimpleRequest) =>
  Effect.gen(function* () {
    let aborted = false
    const opening = yield* Streaming.openInBackground(fromStream(llm.chatStream(request)))
    yield* requests.onDeadline(
      Effect.suspend(() => {
        aborted = true
        return opening.close
      })
    )
    return Streaming.sourceOf(opening, () => aborted)
  })

type StreamEncoder = Streaming.StreamEncoder<ChatEvent>

const textOf = (event: ChatEvent): string =>
  event._tag === "TextDelta" || event._tag === "RefusalDelta" ? event.text : ""

/** Plain text cannot contain an error and must not end as if it were complete, so a failure closes the connection. */
const plainText = (request: HttpServerRequest.HttpServerRequest): StreamEncoder => ({
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

/** `{"result"}` for each piece of text, `{"tool_calls"}` at the end if there are any, then `[DONE]`; `{"error"}` on a failure. */
const serverSentEvents = (): StreamEncoder => {
  const toolCalls: Array<ToolCall> = []
  const render = (body: unknown): string => Framing.render("sse", { data: JSON.stringify(body) })
  const encode = (event: ChatEvent): string => {
    if (event._tag === "ToolCallEnd") toolCalls.push(event.call)
    if (event._tag === "Finish") {
      return `${toolCalls.length === 0 ? "" : render(toolCallField(toolCalls))}${Framing.render("sse", { data: "[DONE]" })}`
    }
    const text = textOf(event)
    return text === "" ? "" : render({ result: text })
  }
  return {
    ...Streaming.sse,
    write: (events) => {
      let text = ""
      for (const event of events) text += encode(event)
      return text
    },
    fail: ({ message }) =>
      Effect.succeed(Framing.render("sse", { event: "error", data: JSON.stringify({ error: message }) }))
  }
}

/** Server-sent events for clients that accept them, plain text for others. */
export const respondStreaming = (context: GatewayContext, simpleRequest: SimpleRequest): Handler =>
  Effect.gen(function* () {
    const request = yield* HttpServerRequest.HttpServerRequest
    const source = yield* openStream(context, simpleRequest)
    const acceptsEvents = (request.headers["accept"] ?? "").includes("text/event-stream")
    const encoder = acceptsEvents ? serverSentEvents() : plainText(request)
    return yield* Streaming.respond(source, encoder, context.keepAlive, simpleRequest.headers)
  })
