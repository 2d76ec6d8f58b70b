/** Responses of the simple API: `{"result"}`, plain text, or server-sent events. */
import { Effect } from "effect"
import type { ChatResponse, ToolCall } from "../../vocabulary/Chat.js"
import type { ChatEvent } from "../../vocabulary/ChatEvent.js"
import { openChat } from "../../call/openStream.js"
import { encodeCall } from "../../wire/chatCompletions/toolCalls.js"
import * as Framing from "../../wire/framing.js"
import * as HttpErrors from "../http/error.js"
import * as Streaming from "../chat/sse.js"
import type { GatewayContext } from "../http/context.js"
import { header } from "../http/exchange.js"
import type { HotCall } from "../http/hotRoute.js"
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

export const respondWhole = (
  { response }: HotCall,
  { headers, llm, request }: SimpleRequest
): Effect.Effect<void, HttpErrors.HttpError> =>
  Effect.mapBoth(llm.chat(request), {
    onFailure: HttpErrors.fromLLMError,
    onSuccess: (answer) => response.send(200, headers, JSON.stringify(bodyOf(answer)))
  })

// -------------------------------------------------------------------------------------
// streams
// -------------------------------------------------------------------------------------

type StreamEncoder = Streaming.StreamEncoder<ChatEvent>

const textOf = (event: ChatEvent): string =>
  event._tag === "TextDelta" || event._tag === "RefusalDelta" ? event.text : ""

/** Plain text cannot contain an error and must not end as if it were complete, so a failure closes the connection. */
const plainText: StreamEncoder = {
  ...Streaming.ofChat,
  contentType: "text/plain; charset=utf-8",
  write: (events) => {
    let text = ""
    for (const event of events) text += textOf(event)
    return text
  },
  fail: () => undefined
}

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
    ...Streaming.ofChat,
    write: (events) => {
      let text = ""
      for (const event of events) text += encode(event)
      return text
    },
    fail: ({ message }) => Framing.render("sse", { event: "error", data: JSON.stringify({ error: message }) })
  }
}

/** Server-sent events for clients that accept them, plain text for others. */
export const respondStreaming =
  ({ keepAlive }: GatewayContext) =>
  (call: HotCall, { headers, llm, request }: SimpleRequest): Effect.Effect<void, HttpErrors.HttpError> => {
    const acceptsEvents = (header(call.request.headers, "accept") ?? "").includes("text/event-stream")
    const encoder = acceptsEvents ? serverSentEvents() : plainText
    return Streaming.respond(call, openChat(llm, request), encoder, keepAlive, () => headers)
  }
