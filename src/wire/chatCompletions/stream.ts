/** A streamed answer as Chat Completions writes it. OpenAI, API reference: chat/streaming. */
import type { ReasoningPart } from "../../Chat.js"
import type { Usage } from "../../Usage.js"
import type { Json } from "../json.js"
import { isRecord, kept, number, record, records, string } from "../json.js"
import type { AnswerSource, Frame, StreamDecoder, WireEvent, WireFailure } from "../Wire.js"
import { estimatedUsage, malformed } from "../Wire.js"
import {
  bodyMetadata,
  finishReason,
  isReported,
  messageMetadata,
  plainThoughts,
  readCall,
  readContent,
  readDetail,
  toolCallOf,
  usageOf
} from "./response.js"

interface OpenCall {
  readonly index: number
  id: string
  name: string
  args: string
  custom: boolean
}

/** The calls of one answer, put together from their pieces. */
const openCalls = () => {
  const calls: Array<OpenCall> = []
  const byIndex = new Map<number, OpenCall>()

  /** Without an index the id tells calls apart; without either it is the last one that goes on. */
  const withoutIndex = (id: string, name: string): OpenCall | undefined => {
    const last = calls.at(-1)
    return id === ""
      ? name === "" || last?.name === ""
        ? last
        : undefined
      : (calls.find((call) => call.id === id) ?? (last?.name === "" ? last : undefined))
  }

  return {
    calls,
    /** The call that a piece belongs to, with what the piece adds to it. An empty id or name adds nothing. */
    add: (piece: Json, index: number | undefined): readonly [OpenCall, string] => {
      const { args, custom, id, name } = readCall(piece)
      const known = index === undefined ? withoutIndex(id, name) : byIndex.get(index)
      const call: OpenCall = known ?? { index: calls.length, id: "", name: "", args: "", custom }
      if (known === undefined) {
        calls.push(call)
        if (index !== undefined) byIndex.set(index, call)
      }
      call.id ||= id
      call.name ||= name
      call.args += args
      return [call, args]
    }
  }
}

const parse = (data: string): unknown => {
  try {
    return JSON.parse(data)
  } catch {
    return undefined
  }
}

/** The reader of one stream. */
export const decodeStream = (source: AnswerSource): StreamDecoder => {
  let id = ""
  let model = ""
  let state: StreamDecoder["state"] = "open"
  let rawReason: string | undefined
  let usage: Usage | undefined
  /** All that was said, for an estimate where nobody counts. */
  let said = ""
  const metadata: Record<string, unknown> = {}
  const { add, calls } = openCalls()
  const thoughts = new Map<string, number>()

  /** Thoughts that are told apart by whatever tells them apart, numbered in the order in which they appear. */
  const think = (
    key: string,
    { format, id, signature, text }: Omit<ReasoningPart, "type">,
    out: Array<WireEvent>
  ): void => {
    if (text === "" && signature === undefined) return
    const index = thoughts.get(key) ?? thoughts.size
    thoughts.set(key, index)
    said += text
    out.push({
      _tag: "ReasoningDelta",
      index,
      text,
      ...(signature === undefined ? {} : { signature }),
      ...(id === undefined ? {} : { id }),
      ...(format === undefined ? {} : { format }),
      provider: source.provider
    })
  }

  const readThoughts = (delta: Json, thinking: string, signature: string | undefined, out: Array<WireEvent>): void => {
    const details = records(delta, "reasoning_details")
    const read = details.map((detail) => readDetail(detail, source.provider))
    if (!read.some(({ text }) => text !== "")) {
      const text = plainThoughts(delta) || thinking
      think("plain", signature === undefined ? { text } : { text, signature }, out)
    }
    for (const [at, part] of read.entries()) think(`${number(details[at] ?? {}, "index") ?? part.format}`, part, out)
  }

  const readPiece = (piece: Json, index: number | undefined, out: Array<WireEvent>): void => {
    const [call, argumentsDelta] = add(piece, index)
    said += argumentsDelta
    out.push({
      _tag: "ToolCallDelta",
      index: call.index,
      id: call.id || `call_${call.index}`,
      name: call.name,
      argumentsDelta
    })
  }

  const readDelta = (delta: Json, out: Array<WireEvent>): void => {
    const { signature, text, thinking } = readContent(delta)
    readThoughts(delta, thinking, signature, out)
    if (text !== "") {
      said += text
      out.push({ _tag: "TextDelta", text })
    }
    const refusal = string(delta, "refusal") ?? ""
    if (refusal !== "") out.push({ _tag: "RefusalDelta", text: refusal })
    for (const piece of records(delta, "tool_calls")) readPiece(piece, number(piece, "index"), out)
    const legacy = record(delta, "function_call")
    if (legacy !== undefined) readPiece({ function: legacy }, 0, out)
    Object.assign(metadata, kept(delta, messageMetadata))
  }

  const finish = (out: Array<WireEvent>): void => {
    const complete = calls.filter(({ name }) => name !== "")
    for (const call of complete)
      out.push({ _tag: "ToolCallEnd", index: call.index, call: toolCallOf(call.index, call) })
    state = "done"
    out.push({
      _tag: "Finish",
      reason: finishReason(rawReason ?? "", complete.length > 0),
      rawReason: rawReason ?? "",
      usage: usage ?? estimatedUsage(source, said),
      latency: 0,
      providerMetadata: metadata
    })
  }

  const readChunk = (chunk: Json, out: Array<WireEvent>): void => {
    id ||= string(chunk, "id") ?? ""
    model ||= string(chunk, "model") ?? ""
    // Running totals: the last one counts.
    usage = usageOf(chunk) ?? usage
    Object.assign(metadata, kept(chunk, bodyMetadata))
    const choices = records(chunk, "choices")
    for (const choice of choices) {
      if ((number(choice, "index") ?? 0) !== 0) continue
      const delta = record(choice, "delta") ?? record(choice, "message")
      if (delta !== undefined) readDelta(delta, out)
      rawReason = string(choice, "finish_reason") || rawReason
    }
    if (rawReason === undefined) return
    state = "finishing"
    // After the reason, a chunk with the usage and without a choice is the last one.
    if (choices.length === 0 && usage !== undefined) finish(out)
  }

  return {
    get id() {
      return id
    },
    get model() {
      return model || source.model
    },
    get state() {
      return state
    },
    get usage() {
      return usage ?? estimatedUsage(source, said)
    },
    push: (frame: Frame, out: Array<WireEvent>): WireFailure | undefined => {
      if (state === "done") return undefined
      if (frame.data === "[DONE]") {
        finish(out)
        return undefined
      }
      // Some keep a connection alive with a word of their own, such as `:keepalive:`.
      if (frame.data === "" || frame.data.startsWith(":")) return undefined
      const chunk = parse(frame.data)
      if (!isRecord(chunk)) return malformed("", frame.data)
      if (isReported(chunk) || frame.event === "error") return { _tag: "Reported", body: chunk }
      readChunk(chunk, out)
      return undefined
    },
    end: (out) => {
      if (state === "done") return undefined
      if (rawReason === undefined) return { _tag: "Truncated" }
      finish(out)
      return undefined
    }
  }
}
