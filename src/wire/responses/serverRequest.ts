/** A server reads a request. */
import { Either, ParseResult } from "effect"
import type { ChatRequest } from "../../Chat.js"
import * as Chat from "../../Chat.js"
import type { Json } from "../json.js"
import { isRecord, kept, record } from "../json.js"
import type { WireFailure } from "../Wire.js"
import { malformed } from "../Wire.js"
import { messagesOf } from "./serverInput.js"

/** The fields given, without those that are absent: many clients send `null` for these. */
const present = (fields: Json): Json =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null))

const isFunction = (tool: unknown): tool is Json => isRecord(tool) && tool["type"] === "function"

const definition = (tool: Json): Json => kept(tool, ["name", "description", "parameters", "strict"])

const modes: ReadonlySet<unknown> = new Set(["auto", "none", "required"])

const choice = (wanted: unknown): unknown =>
  modes.has(wanted) ? wanted : isRecord(wanted) && wanted["type"] === "function" ? { name: wanted["name"] } : undefined

const format = (text: Json): unknown => {
  const wanted = record(text, "format") ?? {}
  switch (wanted["type"]) {
    case "text":
      return "text"
    case "json_object":
      return "json"
    case "json_schema":
      return kept(wanted, ["name", "schema", "description", "strict"])
    default:
      return undefined
  }
}

/** The fields of `wanted` that the vocabulary has no word for make the whole of it worth keeping. */
const beyond = (wanted: unknown, said: ReadonlyArray<string>): unknown =>
  isRecord(wanted) && Object.keys(present(wanted)).some((field) => !said.includes(field)) ? wanted : undefined

const nonEmpty = (fields: Json): Json | undefined => (Object.keys(fields).length === 0 ? undefined : fields)

const wireNames: Readonly<Record<string, string>> = {
  maxTokens: "max_output_tokens",
  parallelToolCalls: "parallel_tool_calls",
  responseFormat: "text.format",
  toolCallId: "call_id",
  toolCalls: "",
  toolChoice: "tool_choice",
  topP: "top_p",
  url: ""
}

const render = (steps: ReadonlyArray<PropertyKey>): string =>
  steps
    .map((step) => (typeof step === "number" ? `[${step}]` : `.${wireNames[String(step)] ?? String(step)}`))
    .filter((step) => step !== ".")
    .join("")

/** A path of ours in the terms of the protocol. */
const wirePath = (path: ReadonlyArray<PropertyKey>, sources: ReadonlyArray<string>): string => {
  const [field, index, ...steps] = path
  return field === "messages" ? `${sources[Number(index)] ?? "input"}${render(steps)}` : render(path).slice(1)
}

const valueAt = (value: unknown, path: ReadonlyArray<PropertyKey>): unknown =>
  path.reduce<unknown>(
    (inner, step) => (typeof inner === "object" && inner !== null ? Reflect.get(inner, step) : undefined),
    value
  )

const validate = ParseResult.validateEither(Chat.ChatRequest)

export const decodeRequest = (
  body: unknown
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> => {
  if (!isRecord(body)) return Either.left(malformed("", body))
  const {
    input,
    instructions,
    max_output_tokens: maxTokens,
    metadata,
    model,
    parallel_tool_calls: parallelToolCalls,
    reasoning,
    stream,
    temperature,
    text,
    tool_choice: toolChoice,
    tools,
    top_p: topP,
    user,
    ...unknown
  } = body
  if (stream !== undefined && stream !== null && typeof stream !== "boolean") {
    return Either.left(malformed("stream", stream))
  }
  if (tools !== undefined && tools !== null && !Array.isArray(tools)) return Either.left(malformed("tools", tools))
  return Either.flatMap(messagesOf(instructions, input), (drafts) => {
    const listed: ReadonlyArray<unknown> = Array.isArray(tools) ? tools : []
    const hosted = listed.filter((tool) => !isFunction(tool))
    const wanted = isRecord(reasoning) ? kept(reasoning, ["effort", "summary"]) : {}
    const knownEffort = wanted["effort"] !== "max"
    const chosen = choice(toolChoice)
    const candidate = present({
      model,
      messages: drafts.map(({ message }) => message),
      tools: listed.length > hosted.length ? listed.filter(isFunction).map(definition) : undefined,
      toolChoice: chosen,
      parallelToolCalls,
      responseFormat: isRecord(text) ? format(text) : undefined,
      temperature,
      topP,
      maxTokens,
      reasoning: knownEffort ? nonEmpty(wanted) : undefined,
      user,
      metadata: isRecord(metadata) ? nonEmpty(metadata) : metadata,
      extra: nonEmpty(
        present({
          ...unknown,
          tools: hosted.length === 0 ? undefined : hosted,
          tool_choice: chosen === undefined ? toolChoice : undefined,
          text: beyond(text, ["format"]),
          reasoning: knownEffort ? beyond(reasoning, ["effort", "summary"]) : reasoning
        })
      )
    })
    return Either.mapBoth(validate(candidate), {
      onLeft: (issue) => {
        const faults = ParseResult.ArrayFormatter.formatIssueSync(issue)
        // Of the alternatives that a union tried, the one that got furthest is the one that was meant.
        const path = faults.reduce<ReadonlyArray<PropertyKey>>(
          (furthest, fault) => (fault.path.length > furthest.length ? fault.path : furthest),
          []
        )
        return malformed(
          wirePath(
            path,
            drafts.map((draft) => draft.path)
          ),
          valueAt(candidate, path) ?? null
        )
      },
      onRight: (request) => ({ request, stream: stream === true })
    })
  })
}
