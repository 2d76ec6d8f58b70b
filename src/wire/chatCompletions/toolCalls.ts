/** Tool calls of Chat Completions, whole and in deltas. */
import { Hash } from "effect"
import type { ToolCall } from "../../vocabulary/Chat.js"
import type { ToolCallDelta } from "../../vocabulary/ChatEvent.js"
import type { Json } from "../json.js"
import { isRecord, nonEmpty, number, record, string, withoutNulls } from "../json.js"
import { unknownFields, knownFields, mergeFields } from "../native.js"
import type { WireEvent } from "../Wire.js"
import type { Dialect } from "./dialect.js"
import { accumulateFields } from "./metadata.js"
import { native } from "./native.js"

/**
 * The function or the custom tool of a call. `custom` counts only with a name or an input: Snowflake Cortex sends an empty one
 * beside `function`.
 */
export const callBody = (call: Json): { readonly custom: boolean; readonly body: Json } => {
  const custom = record(call, "custom")
  return custom !== undefined && (Boolean(custom["name"]) || Boolean(custom["input"]))
    ? { custom: true, body: custom }
    : { custom: false, body: record(call, "function") ?? {} }
}

/** Reads a call or a delta of one: a function with its arguments, or a custom tool with its input. */
const readDelta = (delta: Json) => {
  const { body, custom } = callBody(delta)
  const args = body["arguments"]
  return {
    id: string(delta, "id") ?? "",
    name: string(body, "name") ?? "",
    // Arguments are a JSON text; some servers send the object itself.
    args: string(body, custom ? "input" : "arguments") ?? (isRecord(args) ? JSON.stringify(args) : ""),
    custom,
    signature: string(record(record(delta, "extra_content") ?? {}, "google") ?? {}, "thought_signature") ?? ""
  }
}

const callFields = knownFields(["id", "type", "index"], { function: ["name", "arguments"], custom: ["name", "input"] })

/** The fields beside a call, without the signature of its reasoning. */
const withoutSignature = (extraContent: unknown): unknown => {
  if (!isRecord(extraContent) || !isRecord(extraContent["google"])) return extraContent
  const { thought_signature: _, ...google } = extraContent["google"]
  return nonEmpty(withoutNulls({ ...extraContent, google: nonEmpty(google) }))
}

/** The fields of a call that the vocabulary does not cover. */
const unknownCallFields = (call: Json): Json | undefined =>
  unknownFields(
    call["extra_content"] === undefined ? call : { ...call, extra_content: withoutSignature(call["extra_content"]) },
    callFields
  )

interface OpenCall {
  /** The index of its part; -1 without a name. */
  index: number
  /** Its position among the calls that have a name, in the order in which they received it. */
  position: number
  id: string
  /** Whether the id was generated because the provider had sent none when it was needed. */
  isGenerated: boolean
  name: string
  args: string
  /** The arguments that were not emitted yet. */
  pending: string
  /** Whether a delta was emitted. */
  begun: boolean
  custom: boolean
  /** Sent back with the call (Gemini, "OpenAI compatibility": thought signatures); empty when there is none. */
  signature: string
  /** The fields that the vocabulary does not cover. */
  fields: Record<string, unknown> | undefined
}

/** A complete tool call, without what only its provider can read. */
interface CompletedCall {
  readonly index: number
  readonly call: ToolCall
  /** Empty when there is none. */
  readonly signature: string
  readonly fields: Json | undefined
}

/**
 * The reader of the tool calls of one answer. A whole call is read as a single delta. `openPart` returns the index of a new part;
 * it is called when a call receives its name.
 */
export const toolCallReader = (openPart: () => number) => {
  /** In order of appearance. */
  const calls: Array<OpenCall> = []
  const namedCalls: Array<OpenCall> = []
  const byIndex = new Map<number, OpenCall>()

  /** A delta without an index continues the call with its id; without an id, the last call. */
  const findWithoutIndex = (id: string, name: string): OpenCall | undefined => {
    const last = calls.at(-1)
    if (id === "") return name === "" || last?.name === "" ? last : undefined
    return (
      calls.find((call) => call.id === id) ??
      (last !== undefined && (last.name === "" || (name === "" && (last.id === "" || last.isGenerated)))
        ? last
        : undefined)
    )
  }

  /** The call at an index. Some providers give several calls the same index: a delta with another id and a name is a new call. */
  const findAtIndex = (index: number, id: string, name: string): OpenCall | undefined => {
    const existing = byIndex.get(index)
    const isAnother =
      existing !== undefined &&
      id !== "" &&
      name !== "" &&
      existing.id !== "" &&
      existing.id !== id &&
      !existing.isGenerated
    return isAnother ? undefined : existing
  }

  const addCall = (custom: boolean): OpenCall => {
    const call: OpenCall = {
      index: -1,
      position: -1,
      id: "",
      isGenerated: false,
      name: "",
      args: "",
      pending: "",
      begun: false,
      custom,
      signature: "",
      fields: undefined
    }
    calls.push(call)
    return call
  }

  const ensureId = (call: OpenCall): void => {
    if (call.id !== "") return
    call.id = `call_${call.position}`
    call.isGenerated = true
  }

  /** The delta with the arguments that were not emitted yet. */
  const nextDelta = (call: OpenCall): ToolCallDelta => {
    ensureId(call)
    const argumentsDelta = call.pending
    call.pending = ""
    call.begun = true
    return { _tag: "ToolCallDelta", index: call.index, id: call.id, name: call.name, argumentsDelta }
  }

  return {
    /** The calls of the complete answer: those that have a name. */
    completed: (): ReadonlyArray<CompletedCall> =>
      namedCalls.map((call) => {
        ensureId(call)
        return {
          index: call.index,
          signature: call.signature,
          fields: call.fields,
          call: {
            type: "tool-call",
            id: call.id,
            name: call.name,
            arguments: call.args === "" && !call.custom ? "{}" : call.args,
            ...(call.custom ? { custom: true } : {})
          }
        }
      }),
    /** Reads a delta; an empty id or name adds nothing. Returns the arguments to emit: none before the call has a name. */
    read: (delta: Json): ToolCallDelta | undefined => {
      const { args, custom, id, name, signature } = readDelta(delta)
      const index = number(delta, "index")
      const call = (index === undefined ? findWithoutIndex(id, name) : findAtIndex(index, id, name)) ?? addCall(custom)
      if (index !== undefined) byIndex.set(index, call)
      call.id ||= id
      if (call.name === "") call.custom ||= custom
      call.signature ||= signature
      const fields = unknownCallFields(delta)
      if (fields !== undefined) accumulateFields((call.fields ??= {}), fields, Object.keys(fields))
      if (call.name === "" && name !== "") {
        call.name = name
        call.index = openPart()
        call.position = namedCalls.push(call) - 1
      }
      call.args += args
      call.pending += args
      return call.name === "" || call.pending === "" ? undefined : nextDelta(call)
    },
    /**
     * Appends an event of a part after the calls that begin before it: a call without arguments so far gets an empty delta, because
     * the encoders of streams find the order of the parts in that of the events.
     */
    append: (event: WireEvent & { readonly index: number }, out: Array<WireEvent>): void => {
      for (const call of namedCalls) if (!call.begun && call.index < event.index) out.push(nextDelta(call))
      out.push(event)
    }
  }
}

/** Whole calls with their positions as indexes, so that calls with equal ids stay separate. */
export const withIndexes = (calls: ReadonlyArray<Json>): ReadonlyArray<Json> =>
  calls.map((call, index): Json => Object.assign({}, call, { index }))

/** Decodes whole calls of a request. A signature is marked as one of this protocol, which alone can send it. */
export const decodeToolCalls = (calls: ReadonlyArray<Json>): ReadonlyArray<ToolCall> => {
  const reader = toolCallReader(() => 0)
  for (const call of withIndexes(calls)) reader.read(call)
  return reader.completed().map(({ call, fields, signature }) => ({
    ...call,
    ...(signature === "" ? {} : { signature }),
    ...(signature === "" && fields === undefined ? {} : native.wrap(fields ?? {}))
  }))
}

/** The id in the form that the provider accepts. The same id always has the same form. */
export const encodeCallId = (id: string, accepted: Dialect["callIds"]): string => {
  if (accepted === "any" || /^[a-zA-Z0-9]{9}$/.test(id)) return id
  const hash = (text: string): string => (Hash.string(text) >>> 0).toString(36).padStart(7, "0")
  return `${hash(id)}${hash(`${id}#`)}`.slice(0, 9)
}

/** A call without its signature and its native fields. */
export const encodePlainCall = (call: ToolCall): Json =>
  call.custom === true
    ? { id: call.id, type: "custom", custom: { name: call.name, input: call.arguments } }
    : { id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } }

/** The native fields of a call and its signature. Gemini, "OpenAI compatibility": thought signatures. */
export const encodeCallFields = (call: ToolCall): Json => {
  const fields = native.fieldsOf(call) ?? {}
  if (call.signature === undefined) return fields
  const extraContent = record(fields, "extra_content") ?? {}
  const google = { ...record(extraContent, "google"), thought_signature: call.signature }
  return { ...fields, extra_content: { ...extraContent, google } }
}

export const encodeCall = (call: ToolCall): Json => mergeFields(encodePlainCall(call), encodeCallFields(call))
