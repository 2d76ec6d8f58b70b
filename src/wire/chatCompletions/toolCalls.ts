/** Tool calls as Chat Completions writes them, whole and in pieces. */
import { Hash } from "effect"
import type { ToolCall } from "../../vocabulary/Chat.js"
import type { ToolCallDelta } from "../../vocabulary/ChatEvent.js"
import type { Json } from "../json.js"
import { isRecord, number, record, string } from "../json.js"
import { unknownFields, knownFields } from "../native.js"
import type { Dialect } from "./dialect.js"
import { native } from "./native.js"

/**
 * What a call says, and whether it is one of a custom tool: `custom` counts if it has a name or an input, since Snowflake Cortex
 * sends an empty one beside `function`.
 */
export const callBody = (call: Json): { readonly custom: boolean; readonly body: Json } => {
  const custom = record(call, "custom")
  return custom !== undefined && (Boolean(custom["name"]) || Boolean(custom["input"]))
    ? { custom: true, body: custom }
    : { custom: false, body: record(call, "function") ?? {} }
}

/** One call, or a piece of one: a function with its arguments, or a custom tool with its input. */
const readPiece = (piece: Json) => {
  const { body, custom } = callBody(piece)
  const args = body["arguments"]
  return {
    id: string(piece, "id") ?? "",
    name: string(body, "name") ?? "",
    // Arguments are a text; some send the object itself.
    args: string(body, custom ? "input" : "arguments") ?? (isRecord(args) ? JSON.stringify(args) : ""),
    custom,
    signature: string(record(record(piece, "extra_content") ?? {}, "google") ?? {}, "thought_signature") ?? ""
  }
}

const callFields = knownFields(["id", "type", "index"], { function: ["name", "arguments"], custom: ["name", "input"] })

/** What is said of a call beside it. */
export const furtherOfCall = (call: Json): Json | undefined => unknownFields(call, callFields)

interface OpenCall {
  /** Its place among the calls that have a name, in the order in which they got it. */
  index: number
  id: string
  /** The id is ours, since the provider had sent none when it was needed. */
  invented: boolean
  name: string
  args: string
  /** What of the arguments has not been given out. */
  held: string
  custom: boolean
  /** What must go back with the call (Gemini, "OpenAI compatibility": thought signatures); empty where nothing must. */
  signature: string
}

/** The calls of one answer, put together from pieces, of which a whole call is the largest. */
export const callReader = () => {
  /** In order of appearance. */
  const calls: Array<OpenCall> = []
  const named: Array<OpenCall> = []
  const byIndex = new Map<number, OpenCall>()

  /** Without an index the id tells calls apart; without either it is the last one that goes on. */
  const withoutIndex = (id: string, name: string): OpenCall | undefined => {
    const last = calls.at(-1)
    if (id === "") return name === "" || last?.name === "" ? last : undefined
    return (
      calls.find((call) => call.id === id) ??
      (last !== undefined && (last.name === "" || (name === "" && (last.id === "" || last.invented)))
        ? last
        : undefined)
    )
  }

  /** The call at an index, but for providers that give several calls the same one. */
  const atIndex = (index: number, id: string, name: string): OpenCall | undefined => {
    const known = byIndex.get(index)
    const another =
      known !== undefined && id !== "" && name !== "" && known.id !== "" && known.id !== id && !known.invented
    return another ? undefined : known
  }

  const open = (custom: boolean): OpenCall => {
    const call: OpenCall = { index: -1, id: "", invented: false, name: "", args: "", held: "", custom, signature: "" }
    calls.push(call)
    return call
  }

  const settleId = (call: OpenCall): void => {
    if (call.id !== "") return
    call.id = `call_${call.index}`
    call.invented = true
  }

  return {
    /** The calls that are complete once nothing more comes: those that have a name. */
    whole: (): ReadonlyArray<{ readonly index: number; readonly call: ToolCall; readonly signature: string }> =>
      named.map((call) => {
        settleId(call)
        return {
          index: call.index,
          signature: call.signature,
          call: {
            id: call.id,
            name: call.name,
            arguments: call.args === "" && !call.custom ? "{}" : call.args,
            ...(call.custom ? { type: "custom" as const } : {})
          }
        }
      }),
    /** Takes a piece; an empty id or name adds nothing. Gives out what may be told: nothing before the name is known. */
    read: (piece: Json): ToolCallDelta | undefined => {
      const { args, custom, id, name, signature } = readPiece(piece)
      const index = number(piece, "index")
      const call = (index === undefined ? withoutIndex(id, name) : atIndex(index, id, name)) ?? open(custom)
      if (index !== undefined) byIndex.set(index, call)
      call.id ||= id
      if (call.name === "") call.custom ||= custom
      call.signature ||= signature
      if (call.name === "" && name !== "") {
        call.name = name
        call.index = named.push(call) - 1
      }
      call.args += args
      call.held += args
      if (call.name === "" || call.held === "") return undefined
      settleId(call)
      const argumentsDelta = call.held
      call.held = ""
      return { _tag: "ToolCallDelta", index: call.index, id: call.id, name: call.name, argumentsDelta }
    }
  }
}

/** Whole calls, told apart by their place alone: nothing that two of them share makes them one. */
export const numbered = (calls: ReadonlyArray<Json>): ReadonlyArray<Json> =>
  calls.map((call, index): Json => Object.assign({}, call, { index }))

/** Calls that are whole from the beginning, all of which have names. */
export const decodeCalls = (calls: ReadonlyArray<Json>): ReadonlyArray<ToolCall> => {
  const reader = callReader()
  for (const call of numbered(calls)) reader.read(call)
  return reader.whole().map(({ call, index }) => {
    const further = furtherOfCall(calls[index] ?? {})
    return further === undefined ? call : { ...call, ...native.wrap(further) }
  })
}

/** The id as the provider takes it: the same for the same call, wherever it stands. */
export const callId = (id: string, wanted: Dialect["callIds"]): string => {
  if (wanted === "any" || /^[a-zA-Z0-9]{9}$/.test(id)) return id
  const digits = (text: string): string => (Hash.string(text) >>> 0).toString(36).padStart(7, "0")
  return `${digits(id)}${digits(`${id}#`)}`.slice(0, 9)
}

/** A call in the words that other protocols have too. */
export const plainCall = (call: ToolCall): Json =>
  call.type === "custom"
    ? { id: call.id, type: "custom", custom: { name: call.name, input: call.arguments } }
    : { id: call.id, type: "function", function: { name: call.name, arguments: call.arguments } }

export const encodeCall = (call: ToolCall): Json => native.encode(plainCall(call), call)
