/** The shortest answers of each protocol. */
import type { Protocol } from "./http.js"
import { sse } from "./upstream.js"

export const minimalAnswer = (protocol: Protocol): unknown => {
  switch (protocol) {
    case "chat completions":
      return { choices: [{ index: 0, message: { role: "assistant", content: "Hi" }, finish_reason: "stop" }] }
    case "messages":
      return { type: "message", role: "assistant", content: [{ type: "text", text: "Hi" }], stop_reason: "end_turn" }
    case "responses":
      return { object: "response", status: "completed", output: [] }
  }
}

const named = (events: ReadonlyArray<{ readonly type: string }>): string =>
  events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join("")

export const minimalStream = (protocol: Protocol): string => {
  switch (protocol) {
    case "chat completions":
      return sse([{ choices: [{ index: 0, delta: { content: "Hi" }, finish_reason: "stop" }] }, "[DONE]"])
    case "messages":
      return named([
        { type: "message_start", message: { id: "m", content: [] } } as { readonly type: string },
        { type: "message_delta", delta: { stop_reason: "end_turn" } } as { readonly type: string },
        { type: "message_stop" }
      ])
    case "responses":
      return named([
        { type: "response.completed", response: { id: "r", status: "completed", output: [] } } as {
          readonly type: string
        }
      ])
  }
}
