/** Encodes responses, whole and as streams. OpenAI, API reference: chat/object and chat/streaming. */
import { Array as Arr, Option } from "effect"
import type {
  AssistantPart,
  ChatResponse,
  FinishReason,
  ProviderPart,
  ReasoningPart,
  ToolCall
} from "../../../vocabulary/Chat.js"
import type {
  ChatEvent,
  Finish,
  ReasoningDelta,
  TextDelta,
  ToolCallDelta,
  ToolCallEnd
} from "../../../vocabulary/ChatEvent.js"
import type { Json } from "../../json.js"
import { record, records, string } from "../../json.js"
import { openaiType } from "../../error/openaiType.js"
import { mergeFields } from "../../native.js"
import type { Frame, Served, ServedError, StreamEncoder } from "../../Wire.js"
import { encodeEntries } from "../content.js"
import { encodeCall, encodeCallFields } from "../toolCalls.js"
import type { Dialect } from "../dialect.js"
import { encodeFinishReason } from "../finishReason.js"
import { choiceFields, messageFields, messageMetadata, presentFields } from "../metadata.js"
import { messageFieldsOf, native } from "../native.js"
import { hasFunctions } from "./functions.js"
import { encodeReasoningDetail, encodeThinkingEntry } from "../reasoning.js"
import { encodeUsage } from "../usage.js"

/** Metadata that is encoded elsewhere, would be decoded as another field, or repeats the answer in another protocol. */
const excludedFields: ReadonlySet<string> = new Set([
  ...choiceFields,
  ...messageFields,
  "choice",
  "choices",
  "content",
  "error",
  "message",
  "response",
  "usage"
])

/** The metadata of the body. */
const bodyMetadata = (metadata: Json): Json =>
  Object.fromEntries(Object.entries(metadata).filter(([field]) => !excludedFields.has(field)))

/** The deviations of a server. It sends reasoning in the field in which it accepts it back. */
type ServerDialect = Pick<Dialect, "history" | "streamUsage">

const field = (name: string, text: string): Json => (text === "" ? {} : { [name]: text })

/** The reasoning beside the content. A dialect without history sends both the text alone and the details. */
const reasoningFields = (text: string, details: ReadonlyArray<Json>, { history }: ServerDialect): Json => {
  if (details.length === 0) return {}
  switch (history) {
    case "reasoning_content":
    case "reasoning":
      return field(history, text)
    case "reasoning_details":
      return { ...field("reasoning", text), reasoning_details: details }
    case "thinking-parts":
      return {}
    case "none":
      return { ...field("reasoning_content", text), reasoning_details: details }
  }
}

const encodeText = ({ text }: { readonly text: string }, fields: Json | undefined): Json =>
  mergeFields({ type: "text", text }, fields ?? {})

/** A block of this protocol; undefined for one of another protocol, and for fields of the message. */
const encodeBlock = (part: ProviderPart): Json | undefined => {
  const block = native.fieldsOf(part)
  return block === undefined || messageFieldsOf(block) !== undefined ? undefined : block
}

/** A part as an entry of the content; undefined for a part that is in a field of its own. */
const encodeEntry = (part: AssistantPart, { history }: ServerDialect): Json | undefined => {
  switch (part.type) {
    case "text":
      return encodeText(part, native.fieldsOf(part))
    case "reasoning":
      return history === "thinking-parts" ? encodeThinkingEntry(part) : undefined
    case "provider":
      return encodeBlock(part)
    case "refusal":
    case "tool-call":
      return undefined
  }
}

const partMessageFields = (part: AssistantPart): Json =>
  part.type === "provider" ? (messageFieldsOf(native.fieldsOf(part) ?? {}) ?? {}) : {}

const contentOf = ({ content, refusal, toolCalls }: ChatResponse, dialect: ServerDialect): unknown => {
  const encoded = encodeEntries(Arr.filterMap(content, (part) => Option.fromNullable(encodeEntry(part, dialect))))
  return encoded === "" && (toolCalls.length > 0 || refusal !== "") ? null : encoded
}

/** The calls of an answer. Functions of the earlier form have room for one. */
const callsOf = (calls: ReadonlyArray<ToolCall>, areFunctions: boolean): Json => {
  const [first] = calls
  if (first === undefined) return {}
  return areFunctions
    ? { function_call: { name: first.name, arguments: first.arguments } }
    : { tool_calls: calls.map(encodeCall) }
}

/** With functions of the earlier form, a call has a reason of its own. */
const encodeReason = (reason: FinishReason, raw: string, areFunctions: boolean): string => {
  const encoded = encodeFinishReason(reason, raw)
  return areFunctions && encoded === "tool_calls" ? "function_call" : encoded
}

export const encodeResponse =
  (dialect: ServerDialect) =>
  (response: ChatResponse, { createdAt = 0, request = {} }: Served = {}): Record<string, unknown> => {
    const areFunctions = hasFunctions(request)
    const { content, providerMetadata: metadata, reasoning, refusal, toolCalls } = response
    const details = content.filter((part) => part.type === "reasoning").map(encodeReasoningDetail)
    const message = {
      role: "assistant",
      content: contentOf(response, dialect),
      refusal: refusal === "" ? null : refusal,
      ...reasoningFields(reasoning, details, dialect),
      ...(dialect.history === "none" ? field("reasoning", reasoning) : {}),
      ...callsOf(toolCalls, areFunctions),
      ...messageMetadata(metadata)
    }
    return {
      ...bodyMetadata(metadata),
      id: response.id,
      object: "chat.completion",
      created: createdAt,
      model: response.model,
      choices: [
        {
          index: 0,
          message: content.map(partMessageFields).reduce(mergeFields, message),
          logprobs: null,
          ...presentFields(metadata, choiceFields),
          ...record(metadata, "choice"),
          finish_reason: encodeReason(response.finishReason, response.rawFinishReason, areFunctions)
        },
        ...records(metadata, "choices")
      ],
      ...(response.usage.estimated ? {} : { usage: encodeUsage(response.usage, record(metadata, "usage")) })
    }
  }

/** The names of custom tools in the request. */
const customTools = (request: Json): ReadonlySet<string> =>
  new Set(
    records(request, "tools")
      .filter((tool) => tool["type"] === "custom")
      .map((tool) => string(record(tool, "custom") ?? {}, "name") ?? "")
  )

/** Placeholder of the text in a chunk; no id and no model contains it. */
const placeholder = "\u0000text"

/** Numbers keys in the order in which they come. */
const numbering = () => {
  const numbers = new Map<number, number>()
  return (key: number): number => {
    const number = numbers.get(key) ?? numbers.size
    numbers.set(key, number)
    return number
  }
}

/** Encodes a stream. `request` contains whether to send the usage, which tools are custom, and whether they are functions of the earlier form. */
export const encodeStream =
  (dialect: ServerDialect) =>
  (request: Json, createdAt = 0): StreamEncoder => {
    const sendsUsage = !dialect.streamUsage || record(request, "stream_options")?.["include_usage"] === true
    const customNames = customTools(request)
    const areFunctions = hasFunctions(request)
    /** The arguments sent so far, by index of the call's part. */
    const sentArguments = new Map<number, string>()
    /** The fields of each reasoning part beside its text, repeated in every chunk. */
    const partFields = new Map<number, Pick<ReasoningPart, "id" | "format" | "native">>()
    /** The protocol numbers tool calls, and reasoning, without the other parts. */
    const callNumber = numbering()
    const reasoningNumber = numbering()
    let textFrame: ReadonlyArray<string> | undefined
    let head: Json = { object: "chat.completion.chunk", created: createdAt }

    const frame = (body: Json): Frame => ({ data: JSON.stringify({ ...head, ...body }) })

    const chunk = (delta: Json, choice: Json = {}, body: Json = {}): Frame =>
      frame({
        ...body,
        choices: [{ index: 0, delta, logprobs: null, finish_reason: null, ...choice }],
        ...(sendsUsage ? { usage: null } : {})
      })

    /** Nearly all chunks are text and differ only in it, so the rest is serialised once. */
    const textChunk = (text: string): Frame => {
      textFrame ??= chunk({ content: placeholder }).data.split(JSON.stringify(placeholder))
      const [before = "", after = ""] = textFrame
      return { data: before + JSON.stringify(text) + after }
    }

    const textDelta = (event: TextDelta): Frame => {
      const fields = native.fieldsOf(event)
      return fields === undefined ? textChunk(event.text) : chunk({ content: [encodeText(event, fields)] })
    }

    const providerPart = (part: ProviderPart): ReadonlyArray<Frame> => {
      const block = encodeBlock(part)
      const delta = block === undefined ? partMessageFields(part) : { content: [block] }
      return Object.keys(delta).length === 0 ? [] : [chunk(delta)]
    }

    const reasoningChunk = (event: ReasoningDelta): Frame => {
      const { _tag, index, provider: _, signature, text, ...rest } = event
      const fields = { ...partFields.get(index), ...rest }
      partFields.set(index, fields)
      const delta = { ...fields, text, ...(signature === undefined ? {} : { signature }) }
      return chunk(
        dialect.history === "thinking-parts"
          ? { content: [encodeThinkingEntry(delta)] }
          : reasoningFields(text, [encodeReasoningDetail(delta, reasoningNumber(index))], dialect)
      )
    }

    const callChunk = (
      event: Pick<ToolCallDelta, "index" | "id" | "name">,
      delta: string,
      isCustom: boolean,
      fields: Json = {}
    ): ReadonlyArray<Frame> => {
      const sent = sentArguments.get(event.index)
      sentArguments.set(event.index, (sent ?? "") + delta)
      const kind = isCustom ? "custom" : "function"
      const name = sent === undefined ? { name: event.name } : {}
      const number = callNumber(event.index)
      if (areFunctions) return number > 0 ? [] : [chunk({ function_call: { ...name, arguments: delta } })]
      const call = {
        index: number,
        ...(sent === undefined ? { id: event.id, type: kind } : {}),
        [kind]: isCustom ? { ...name, input: delta } : { ...name, arguments: delta }
      }
      return [chunk({ tool_calls: [mergeFields(call, fields)] })]
    }

    /** The arguments and the fields that no delta contained. */
    const callEnd = ({ call, index }: ToolCallEnd): ReadonlyArray<Frame> => {
      const sent = sentArguments.get(index)
      const remaining = call.arguments.startsWith(sent ?? "") ? call.arguments.slice((sent ?? "").length) : ""
      const fields = encodeCallFields(call)
      return sent !== undefined && remaining === "" && Object.keys(fields).length === 0
        ? []
        : callChunk(
            { index, id: call.id, name: call.name },
            remaining,
            call.custom === true || customNames.has(call.name),
            fields
          )
    }

    const finish = (event: Finish): ReadonlyArray<Frame> => {
      const { providerMetadata: metadata, usage } = event
      const reason = encodeReason(event.reason, event.rawReason, areFunctions)
      return [
        chunk(
          { ...presentFields(metadata, messageFields), ...record(metadata, "message") },
          { ...presentFields(metadata, choiceFields), ...record(metadata, "choice"), finish_reason: reason },
          { ...bodyMetadata(metadata), ...head }
        ),
        ...(sendsUsage && !usage.estimated
          ? [frame({ choices: [], usage: encodeUsage(usage, record(metadata, "usage")) })]
          : []),
        { data: "[DONE]" }
      ]
    }

    return {
      push: (event: ChatEvent): ReadonlyArray<Frame> => {
        switch (event._tag) {
          case "Start":
            head = { id: event.id, ...head, model: event.model }
            textFrame = undefined
            return [chunk({ role: "assistant", content: "", refusal: null })]
          case "TextDelta":
            return [textDelta(event)]
          case "ReasoningDelta":
            return [reasoningChunk(event)]
          case "RefusalDelta":
            return [chunk({ refusal: event.text })]
          case "ToolCallDelta":
            return callChunk(event, event.argumentsDelta, customNames.has(event.name))
          case "ToolCallEnd":
            return callEnd(event)
          case "ProviderPart":
            return providerPart(event.part)
          case "Continued":
            return []
          case "Finish":
            return finish(event)
        }
      },
      // Without [DONE], which marks a complete answer.
      fail: (error) => [{ data: JSON.stringify(encodeError(error)) }]
    }
  }

export const encodeError = (error: ServedError): Record<string, unknown> => ({
  error: {
    message: error.message,
    type: error.type ?? openaiType(error.status),
    param: error.param ?? null,
    code: error.code ?? null
  }
})
