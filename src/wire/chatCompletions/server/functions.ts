/**
 * Functions as Chat Completions had them before tools: `functions` and `function_call` in requests and answers, and messages of the role `function`.
 * They are read as tools, and an answer to such a request has its call in `function_call`, which has room for one.
 * OpenAI, API reference: chat/create and chat/object (deprecated fields).
 */
import type { Json } from "../../json.js"
import { array, isRecord, record, string, withoutNulls } from "../../json.js"

/** Whether a request has functions of this form, and so gets calls of this form. */
export const hasFunctions = (request: Json): boolean => array(request, "functions") !== undefined

const isEarlierForm = (message: unknown): boolean =>
  isRecord(message) &&
  (message["role"] === "function" ||
    (message["role"] === "assistant" && record(message, "function_call") !== undefined))

/** The messages with calls of tools. A result belongs to the latest call of its function. */
const messagesWithTools = (messages: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const ids = new Map<string, string>()
  return messages.map((message, position) => {
    if (!isRecord(message) || !isEarlierForm(message)) return message
    if (message["role"] === "function") {
      const { name, ...others } = message
      return { ...others, role: "tool", tool_call_id: ids.get(String(name)) ?? `call_${String(name)}` }
    }
    const { function_call: call, ...others } = message
    const id = `call_${position}`
    ids.set(string(record(message, "function_call") ?? {}, "name") ?? "", id)
    return { ...others, tool_calls: [{ id, type: "function", function: call }] }
  })
}

const choiceOf = (choice: unknown): unknown => (isRecord(choice) ? { type: "function", function: choice } : choice)

/** The same request with tools in place of functions; the request itself where it has none. */
export const withTools = (request: Json): Json => {
  const messages = array(request, "messages") ?? []
  if (!hasFunctions(request) && !messages.some(isEarlierForm)) return request
  const { function_call: choice, functions: _, ...others } = request
  const functions = array(request, "functions") ?? []
  return {
    ...others,
    messages: messagesWithTools(messages),
    ...(functions.length === 0
      ? {}
      : {
          tools: [
            ...(array(request, "tools") ?? []),
            ...functions.map((definition) => ({ type: "function", function: definition }))
          ]
        }),
    ...withoutNulls({ tool_choice: request["tool_choice"] ?? choiceOf(choice) })
  }
}
