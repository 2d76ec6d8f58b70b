/** Answers and events of an `LLM` as parts of `@effect/ai`. */
import type * as AiError from "@effect/ai/AiError"
import type * as Response from "@effect/ai/Response"
import * as Tool from "@effect/ai/Tool"
import { Either, Struct } from "effect"
import type { AssistantPart, ChatResponse, ReasoningPart, TextPart, ToolCall } from "../vocabulary/Chat.js"
import type { ChatEvent, Finish } from "../vocabulary/ChatEvent.js"
import type { Usage } from "../vocabulary/Usage.js"
import { malformedOutput } from "./errors.js"
import type { Metadata } from "./metadata.js"
import { entryOf, metadataOf, name } from "./metadata.js"
import { ofProvider } from "./providerTools.js"
import { encodeUsage } from "./responseParts.js"

type Decoded<A> = Either.Either<ReadonlyArray<A>, AiError.AiError>

/** The parts that answers and streams have in common. */
type Shared = Extract<Response.PartEncoded, { type: "tool-call" | "tool-result" | "source" | "file" }>

/** A tool call with its arguments parsed; an answer that reached its token limit can have half of them. */
const toolCallPart = (call: ToolCall): Either.Either<Response.ToolCallPartEncoded, AiError.AiError> =>
  Either.map(
    Either.try({
      try: (): unknown => (call.custom === true ? call.arguments : Tool.unsafeSecureJsonParse(call.arguments)),
      catch: (cause) =>
        malformedOutput(
          "LLMLanguageModel",
          "toolCall",
          `The arguments of the call of ${call.name} are not JSON: ${call.arguments}`,
          cause
        )
    }),
    (params) => ({
      type: "tool-call",
      id: call.id,
      name: call.name,
      params,
      metadata: metadataOf(Struct.pick(call, "signature", "provider", "native"))
    })
  )

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const textOr = (value: unknown, other: string): string => (typeof value === "string" ? value : other)

/** The sources that a provider names at a text: annotations of OpenAI's protocols and citations of Anthropic's. */
const sourcesOf = (part: Pick<TextPart, "native">, index: number): ReadonlyArray<Shared> =>
  Object.values(part.native ?? {})
    .flatMap(({ annotations, citations }) => [annotations, citations].flat())
    .filter(isRecord)
    .flatMap((cited, position): ReadonlyArray<Shared> => {
      const url = isRecord(cited["url_citation"]) ? cited["url_citation"] : cited
      const fields = { type: "source", id: `${index}:${position}`, metadata: entryOf(cited) } as const
      if (typeof url["url"] === "string") {
        return [{ ...fields, sourceType: "url", url: url["url"], title: textOr(url["title"], url["url"]) }]
      }
      const title = cited["filename"] ?? cited["document_title"]
      return typeof title === "string" ? [{ ...fields, sourceType: "document", mediaType: "text/plain", title }] : []
    })

const reasoningFields = (part: Pick<ReasoningPart, "signature" | "id" | "format" | "provider" | "native">) =>
  metadataOf(Struct.pick(part, "signature", "id", "format", "provider", "native"))

const contentParts = (
  part: AssistantPart,
  index: number,
  tools: ReadonlyArray<Tool.Any>
): Decoded<Response.PartEncoded> => {
  switch (part.type) {
    case "text": {
      const metadata = metadataOf(Struct.pick(part, "provider", "native"))
      return Either.right([{ type: "text", text: part.text, metadata }, ...sourcesOf(part, index)])
    }
    case "refusal": {
      const metadata = metadataOf({ refusal: part.text, ...Struct.pick(part, "provider", "native") })
      return Either.right([{ type: "text", text: "", metadata }])
    }
    case "reasoning":
      return Either.right([{ type: "reasoning", text: part.text, metadata: reasoningFields(part) }])
    case "tool-call":
      return Either.map(toolCallPart(part), (call) => [call])
    case "provider":
      return Either.right(ofProvider(part, tools))
  }
}

const finishPart = (
  reason: ChatResponse["finishReason"],
  usage: Usage,
  fields: Record<string, unknown>
): Response.FinishPartEncoded => ({ type: "finish", reason, usage: encodeUsage(usage), metadata: entryOf(fields) })

const metadataPart = (
  response: Pick<ChatResponse, "id" | "model" | "provider" | "keyId" | "attempts" | "cached">
): Response.ResponseMetadataPartEncoded => ({
  type: "response-metadata",
  ...(response.id === "" ? {} : { id: response.id }),
  modelId: response.model,
  metadata: entryOf(Struct.pick(response, "provider", "keyId", "attempts", "cached"))
})

/** The parts of an answer. Calls of provider-defined tools in `tools` and their results are parts of their own. */
export const ofResponse = (
  response: ChatResponse,
  tools: ReadonlyArray<Tool.Any>
): Either.Either<Array<Response.PartEncoded>, AiError.AiError> => {
  const parts: Array<Response.PartEncoded> = [metadataPart(response)]
  for (const [index, part] of response.content.entries()) {
    const decoded = contentParts(part, index, tools)
    if (Either.isLeft(decoded)) return Either.left(decoded.left)
    parts.push(...decoded.right)
  }
  const fields = Struct.pick(response, "rawFinishReason", "cost", "latency", "providerMetadata")
  parts.push(finishPart(response.finishReason, response.usage, fields))
  return Either.right(parts)
}

/** The part of a stream that has started and not ended. */
interface Open {
  readonly type: "text" | "reasoning" | "tool-params"
  readonly index: number
  readonly id: string
  metadata: Metadata
  sources: ReadonlyArray<Shared>
}

type StreamPart = Response.StreamPartEncoded

/** Makes the function that turns each event of one stream into parts. */
export const streamDecoder = (tools: ReadonlyArray<Tool.Any>): ((event: ChatEvent) => Decoded<StreamPart>) => {
  let open: Open | undefined

  /** A part ends when the next one starts; what it keeps for its provider is known at its end. */
  const end = (): ReadonlyArray<StreamPart> => {
    if (open === undefined) return []
    const { id, metadata, sources, type } = open
    open = undefined
    return [{ type: `${type}-end`, id, metadata }, ...sources]
  }

  const start = (
    type: "text" | "reasoning",
    index: number
  ): { readonly part: Open; readonly before: ReadonlyArray<StreamPart> } => {
    if (open?.index === index && open.type === type) return { part: open, before: [] }
    const before = end()
    const id = String(index)
    const part: Open = { type, index, id, metadata: {}, sources: [] }
    open = part
    return { part, before: [...before, { type: `${type}-start`, id }] }
  }

  const startCall = (index: number, id: string, toolName: string): ReadonlyArray<StreamPart> => {
    if (open?.index === index && open.type === "tool-params") return []
    const before = end()
    open = { type: "tool-params", index, id, metadata: {}, sources: [] }
    return [...before, { type: "tool-params-start", id, name: toolName }]
  }

  return (event) => {
    switch (event._tag) {
      case "Start":
        return Either.right([metadataPart(event)])
      case "Continued":
        return Either.right([...end(), metadataPart(event)])
      case "TextDelta": {
        const { before, part } = start("text", event.index)
        part.metadata = { ...part.metadata, ...metadataOf(Struct.pick(event, "provider", "native")) }
        part.sources = [...part.sources, ...sourcesOf(event, event.index)]
        return Either.right([...before, ...delta("text", part.id, event.text)])
      }
      case "RefusalDelta": {
        const { before, part } = start("text", event.index)
        const refusal = textOr(part.metadata[name]?.["refusal"], "") + event.text
        part.metadata = metadataOf({ refusal, ...Struct.pick(event, "provider", "native") })
        return Either.right(before)
      }
      case "ReasoningDelta": {
        const { before, part } = start("reasoning", event.index)
        part.metadata = { [name]: { ...part.metadata[name], ...reasoningFields(event)[name] } }
        return Either.right([...before, ...delta("reasoning", part.id, event.text)])
      }
      case "ToolCallDelta":
        return Either.right([
          ...startCall(event.index, event.id, event.name),
          ...delta("tool-params", event.id, event.argumentsDelta)
        ])
      case "ToolCallEnd": {
        const { call, index } = event
        const before = startCall(index, call.id, call.name)
        return Either.map(toolCallPart(call), (part) => [...before, ...end(), part])
      }
      case "ProviderPart":
        return Either.right([...end(), ...ofProvider(event.part, tools)])
      case "Finish":
        return Either.right([...end(), streamFinish(event)])
    }
  }
}

const delta = (type: Open["type"], id: string, text: string): ReadonlyArray<StreamPart> =>
  text === "" ? [] : [{ type: `${type}-delta`, id, delta: text }]

const streamFinish = (finish: Finish): Response.FinishPartEncoded =>
  finishPart(finish.reason, finish.usage, {
    rawFinishReason: finish.rawReason,
    ...Struct.pick(finish, "cost", "latency", "providerMetadata")
  })
