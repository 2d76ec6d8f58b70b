/** The parts of an answer of a `LanguageModel` as the content and the events of an `LLM`. */
import * as Prompt from "@effect/ai/Prompt"
import type * as Response from "@effect/ai/Response"
import { Encoding, Option, Predicate, Schema, Struct } from "effect"
import type { ModelInfo } from "../call/model.js"
import type { Attempt } from "../vocabulary/attempt.js"
import type { AssistantPart, FinishReason, ProviderPart, ToolCall } from "../vocabulary/Chat.js"
import * as Chat from "../vocabulary/Chat.js"
import type { ChatEvent } from "../vocabulary/ChatEvent.js"
import { eventsOfPart } from "../vocabulary/chatEvent/collected.js"
import type * as Usage from "../vocabulary/Usage.js"
import { isRecord } from "../wire/json.js"
import type { Kept } from "./metadata.js"
import { keptIn, name } from "./metadata.js"
import type { Part } from "./responseParts.js"
import { decodeUsage, idsOf, promptNameOf } from "./responseParts.js"

/** The name of `@effect/ai` in the `native` fields of parts and in `ModelInfo.wire`. */
export const wire = "effect-ai"

type Metadata = Response.ProviderMetadata

/** What a part keeps for the next turn: what this library put there, or the metadata of another provider's model. */
const fieldsOf = (metadata: Metadata, provider: string): Kept => {
  const { [name]: _, ...others } = metadata
  const foreign = Object.fromEntries(Object.entries(others).filter(([, fields]) => isRecord(fields)))
  return {
    ...(Object.keys(foreign).length === 0 ? {} : { provider, native: { [wire]: foreign } }),
    ...keptIn(metadata)
  }
}

const reasoningFields = (kept: Kept) => Struct.pick(kept, "signature", "id", "format", "provider", "native")

const providerPart = (part: Readonly<Record<string, unknown>>, metadata: Metadata, provider: string): ProviderPart => {
  const { native = { [wire]: part }, provider: maker = provider } = keptIn(metadata)
  return { type: "provider", native, provider: maker }
}

/** Calls and results of tools that the provider ran, files and sources. A source that this library names is in its text already. */
const otherPart = (
  part: Response.ToolCallPart<string, unknown> | Response.ToolResultPart<string, unknown, unknown> | OtherPart,
  provider: string
): ReadonlyArray<ProviderPart> => {
  const { metadata } = part
  const options = metadata
  switch (part.type) {
    case "tool-call": {
      const { id, params, type } = part
      const call = { type, id, name: promptNameOf(part), params, providerExecuted: true, options }
      return [providerPart(call, metadata, provider)]
    }
    case "tool-result": {
      const { encodedResult, id, isFailure, type } = part
      const result = { type, id, name: promptNameOf(part), isFailure, result: encodedResult }
      return [providerPart({ ...result, providerExecuted: true, options }, metadata, provider)]
    }
    case "file": {
      const { data, mediaType, type } = part
      return [providerPart({ type, mediaType, data: Encoding.encodeBase64(data), options }, metadata, provider)]
    }
    case "source":
      return name in metadata
        ? []
        : [
            providerPart(
              part.sourceType === "url"
                ? { type: part.type, sourceType: part.sourceType, id: part.id, url: part.url.href, title: part.title }
                : {
                    type: part.type,
                    sourceType: part.sourceType,
                    id: part.id,
                    mediaType: part.mediaType,
                    title: part.title
                  },
              metadata,
              provider
            )
          ]
  }
}

type OtherPart = Extract<Part, { type: "file" | "source" }>

/** A call with the arguments as they were streamed, or as `@effect/ai` decoded them. */
const toolCall = (part: Response.ToolCallPart<string, unknown>, text: string, provider: string): ToolCall => ({
  ...Chat.toolCall(part.id, part.name, text === "" ? (JSON.stringify(part.params) ?? "{}") : text),
  ...Struct.pick(fieldsOf(part.metadata, provider), "signature", "provider", "native")
})

const finishReasons: Readonly<Record<Response.FinishReason, FinishReason>> = {
  stop: "stop",
  length: "length",
  "content-filter": "content-filter",
  "tool-calls": "tool-calls",
  pause: "pause",
  error: "other",
  other: "other",
  unknown: "other"
}

/** The end of an answer. */
const finishOf = ({ metadata, reason, usage }: Response.FinishPart) => {
  const { [name]: own, ...others } = metadata
  const { providerMetadata, rawFinishReason } = isRecord(own) ? own : {}
  return {
    reason: finishReasons[reason],
    rawReason: Predicate.isString(rawFinishReason) ? rawFinishReason : reason,
    usage: decodeUsage(usage),
    providerMetadata: { ...(isRecord(providerMetadata) ? providerMetadata : {}), ...others }
  }
}

/** What an event needs to know of its call. */
export interface Source {
  readonly info: ModelInfo
  /** The attempt so far, and so its duration. */
  readonly attempt: () => Attempt
  /** Replaces counts that the model did not report. */
  readonly checkUsage: (usage: Usage.Usage) => Usage.Usage
}

/** A part of a stream that has started. */
interface Open {
  readonly index: number
  /** Of a tool. */
  readonly name: string
  readonly metadata: Metadata
  /** The arguments so far. */
  text: string
}

const callDelta = ({ index, name }: Open, id: string, argumentsDelta: string): ChatEvent => ({
  _tag: "ToolCallDelta",
  index,
  id,
  name,
  argumentsDelta
})

/** Makes the function that turns each part of one answer into events. Every index is that of the part in the content. */
export const makeDecoder = ({ attempt, checkUsage, info }: Source) => {
  const { provider } = info
  const open = new Map<string, Open>()
  const restored = new Set<string>()
  let hasStarted = false
  let next = 0

  const start = (id = "", model = info.model): ReadonlyArray<ChatEvent> => {
    if (hasStarted) return []
    hasStarted = true
    return [{ _tag: "Start", id, provider, model, keyId: "", attempts: [attempt()] }]
  }

  const opened = (id: string, metadata: Metadata, toolName = ""): Open => {
    const before = open.get(id)
    const part: Open = {
      index: before?.index ?? next++,
      name: toolName,
      metadata: { ...before?.metadata, ...metadata },
      text: before?.text ?? ""
    }
    open.set(id, part)
    return part
  }

  const content = (part: AssistantPart): ReadonlyArray<ChatEvent> => eventsOfPart(part, next++)

  const textEnd = (id: string, metadata: Metadata): ReadonlyArray<ChatEvent> => {
    const { index, metadata: all } = opened(id, metadata)
    open.delete(id)
    const kept = fieldsOf(all, provider)
    const fields = Struct.pick(kept, "provider", "native")
    if (kept.refusal !== undefined) return [{ _tag: "RefusalDelta", index, text: kept.refusal, ...fields }]
    return Object.keys(fields).length === 0 ? [] : [{ _tag: "TextDelta", index, text: "", ...fields }]
  }

  const reasoningEnd = (id: string, metadata: Metadata): ReadonlyArray<ChatEvent> => {
    const { index, metadata: all } = opened(id, metadata)
    open.delete(id)
    const fields = reasoningFields(fieldsOf(all, provider))
    return Object.keys(fields).length === 0 ? [] : [{ _tag: "ReasoningDelta", index, text: "", ...fields }]
  }

  const decode = (part: Part): ReadonlyArray<ChatEvent> => {
    switch (part.type) {
      case "response-metadata": {
        const { id, model } = idsOf(part)
        return start(id, model)
      }
      case "text": {
        const kept = fieldsOf(part.metadata, provider)
        const fields = Struct.pick(kept, "provider", "native")
        if (kept.refusal !== undefined) return content({ type: "refusal", text: kept.refusal, ...fields })
        return part.text === "" && kept.native === undefined
          ? []
          : content({ type: "text", text: part.text, ...fields })
      }
      case "reasoning":
        return content({
          type: "reasoning",
          text: part.text,
          ...reasoningFields(fieldsOf(part.metadata, provider))
        })
      case "text-start":
      case "reasoning-start":
        opened(part.id, part.metadata)
        return []
      case "text-delta":
        return [{ _tag: "TextDelta", index: opened(part.id, part.metadata).index, text: part.delta }]
      case "reasoning-delta":
        return [{ _tag: "ReasoningDelta", index: opened(part.id, part.metadata).index, text: part.delta }]
      case "text-end":
        return textEnd(part.id, part.metadata)
      case "reasoning-end":
        return reasoningEnd(part.id, part.metadata)
      case "tool-params-start":
        return part.providerExecuted ? [] : [callDelta(opened(part.id, part.metadata, part.name), part.id, "")]
      case "tool-params-delta": {
        const call = open.get(part.id)
        if (call === undefined) return []
        call.text += part.delta
        return [callDelta(call, part.id, part.delta)]
      }
      case "tool-params-end":
        return []
      case "tool-call": {
        if (part.providerExecuted) {
          if (name in part.metadata) restored.add(part.id)
          return otherPart(part, provider).flatMap(content)
        }
        const call = open.get(part.id)
        if (call === undefined) return content(toolCall(part, "", provider))
        return [{ _tag: "ToolCallEnd", index: call.index, call: toolCall(part, call.text, provider) }]
      }
      case "tool-result":
        return restored.has(part.id) && !(name in part.metadata) ? [] : otherPart(part, provider).flatMap(content)
      case "file":
      case "source":
        return otherPart(part, provider).flatMap(content)
      case "finish": {
        const { usage, ...finish } = finishOf(part)
        return [{ _tag: "Finish", ...finish, usage: checkUsage(usage), latency: attempt().duration }]
      }
    }
  }

  return (part: Part): ReadonlyArray<ChatEvent> =>
    part.type === "response-metadata" ? decode(part) : [...start(), ...decode(part)]
}

const UserParts = Schema.encodedSchema(Schema.Union(Prompt.TextPart, Prompt.FilePart))

const AssistantParts = Schema.encodedSchema(Schema.Union(Prompt.FilePart, Prompt.ToolCallPart, Prompt.ToolResultPart))

/** Parts and options that only `@effect/ai` has, in the `native` fields of messages. */
export const native = {
  /** The options of a part for the model's provider, such as `{ anthropic: { cacheControl: … } }`. */
  optionsOf: (part: { readonly native?: Chat.Native }): Prompt.ProviderOptions =>
    Option.getOrElse(Schema.decodeUnknownOption(Prompt.ProviderOptions)(part.native?.[wire] ?? {}), () => ({})),
  userPartsOf: (part: ProviderPart): ReadonlyArray<typeof UserParts.Type> =>
    Option.toArray(Schema.decodeUnknownOption(UserParts)(part.native[wire])),
  /** A part of an earlier answer. Sources have no place in a prompt. */
  assistantPartsOf: (part: ProviderPart): ReadonlyArray<typeof AssistantParts.Type> =>
    Option.toArray(Schema.decodeUnknownOption(AssistantParts)(part.native[wire]))
}
