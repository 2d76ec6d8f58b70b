/** A server reads a request. */
import { Either } from "effect"
import type { ChatRequest } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, nonEmpty, withoutNulls, record, records, string } from "../../json.js"
import { validatedRequest, pathBelow } from "../../decodedRequest.js"
import type { Address, WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { askedAt } from "../address.js"
import { named } from "../names.js"
import { fromOpenApi } from "../../schema/gemini.js"
import { messagesOf } from "./contents.js"

const fieldsOf = (from: Json, field: string): Json => withoutNulls(named(record(from, field) ?? {}))

// -------------------------------------------------------------------------------------
// tools
// -------------------------------------------------------------------------------------

const definition = (from: Json, strict: boolean): Json => {
  const { description, name, parameters, parametersJsonSchema } = named(from)
  return withoutNulls({
    name,
    description: description === "" ? undefined : description,
    parameters: parametersJsonSchema ?? (isRecord(parameters) ? fromOpenApi(parameters) : parameters),
    strict: strict ? true : undefined
  })
}

/** Functions, and tools of the provider's own, which may stand in one object. */
const toolsOf = (tools: unknown, strict: boolean): { readonly own?: unknown; readonly further?: unknown } => {
  if (tools === undefined) return {}
  if (!Array.isArray(tools)) return { own: tools }
  const listed = tools.map((tool: unknown) => (isRecord(tool) ? withoutNulls(named(tool)) : {}))
  const own = listed.flatMap((tool) => records(tool, "functionDeclarations").map((from) => definition(from, strict)))
  const further = listed
    .map(({ functionDeclarations: _, ...rest }) => rest)
    .filter((rest) => Object.keys(rest).length > 0)
  return {
    ...(own.length === 0 ? {} : { own }),
    ...(further.length === 0 ? {} : { further })
  }
}

const choices: Readonly<Record<string, string>> = { AUTO: "auto", VALIDATED: "auto", NONE: "none", ANY: "required" }

/** A choice of several functions has no word in the vocabulary: it is handed on as it is. */
const choiceOf = (config: Json): { readonly choice?: unknown; readonly further?: Json } => {
  const { allowedFunctionNames: allowed, mode, ...rest } = config
  const word = choices[typeof mode === "string" ? mode.toUpperCase() : ""]
  if (Array.isArray(allowed) && allowed.length > 0) {
    return allowed.length === 1 && word === "required" && Object.keys(rest).length === 0
      ? { choice: { name: allowed[0] } }
      : { further: config }
  }
  return { choice: word, ...(Object.keys(rest).length === 0 ? {} : { further: rest }) }
}

// -------------------------------------------------------------------------------------
// settings
// -------------------------------------------------------------------------------------

const formatOf = (config: Json): unknown => {
  const { responseJsonSchema, responseMimeType, responseSchema } = config
  const schema = responseJsonSchema ?? (isRecord(responseSchema) ? fromOpenApi(responseSchema) : undefined)
  if (responseMimeType === "text/plain") return "text"
  if (responseMimeType !== "application/json") return undefined
  return schema === undefined ? "json" : { name: "response", schema }
}

const thinkingOf = ({ includeThoughts, thinkingBudget, thinkingLevel }: Json): Json | undefined =>
  nonEmpty(
    withoutNulls({
      effort: typeof thinkingLevel === "string" ? thinkingLevel.toLowerCase() : undefined,
      // -1: as much as the model likes.
      budgetTokens: thinkingBudget === -1 ? undefined : thinkingBudget,
      summary: includeThoughts === true ? "auto" : undefined
    })
  )

/** Those that the vocabulary has words for, or that say nothing else. */
const settings: ReadonlySet<string> = new Set([
  "maxOutputTokens",
  "responseJsonSchema",
  "responseMimeType",
  "responseSchema",
  "seed",
  "stopSequences",
  "temperature",
  "thinkingConfig",
  "topP"
])

const known: ReadonlySet<string> = new Set([
  "contents",
  "generationConfig",
  "labels",
  "model",
  "systemInstruction",
  "toolConfig",
  "tools"
])

const others = (from: Json, known: ReadonlySet<string>): Json =>
  Object.fromEntries(Object.entries(from).filter(([field]) => !known.has(field)))

// -------------------------------------------------------------------------------------
// faults
// -------------------------------------------------------------------------------------

/** The protocol's own words for what stands in a vocabulary of other words. */
const words: ReadonlyArray<readonly [RegExp, string]> = [
  [/^tools\[(\d+)\]/, "tools[0].functionDeclarations[$1]"],
  [/^toolChoice\b/, "toolConfig.functionCallingConfig"],
  [/^maxTokens$/, "generationConfig.maxOutputTokens"],
  [/^stop\b/, "generationConfig.stopSequences"],
  [/^reasoning\.effort$/, "generationConfig.thinkingConfig.thinkingLevel"],
  [/^reasoning\.budgetTokens$/, "generationConfig.thinkingConfig.thinkingBudget"],
  [/^(?=(?:seed|temperature|topP)$)/, "generationConfig."]
]

const wirePath = (path: ReadonlyArray<PropertyKey>, sources: ReadonlyArray<string>): string => {
  if (path[0] === "messages") return sources[Number(path[1])] ?? "contents"
  const plain = pathBelow(path, {}).slice(1)
  return words.reduce((told, [place, word]) => told.replace(place, word), plain)
}

export const decodeRequest = (
  from: unknown,
  address?: Address
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> => {
  if (!isRecord(from)) return Either.left(malformed("", from))
  const body = withoutNulls(named(from))
  const asked = askedAt(address)
  const config = fieldsOf(body, "generationConfig")
  const toolConfig = fieldsOf(body, "toolConfig")
  const calling = fieldsOf(toolConfig, "functionCallingConfig")
  const { choice, further: furtherCalling } = choiceOf(calling)
  const tools = toolsOf(body["tools"], calling["mode"] === "VALIDATED")
  const furtherConfig = others(config, settings)
  const furtherTools = withoutNulls({
    ...others(toolConfig, new Set(["functionCallingConfig"])),
    functionCallingConfig: furtherCalling
  })
  return Either.flatMap(messagesOf(body["systemInstruction"], body["contents"]), (drafts) => {
    const candidate: unknown = withoutNulls({
      messages: drafts.map(({ message }) => message),
      model: asked?.model ?? string(body, "model"),
      tools: tools.own,
      toolChoice: choice,
      responseFormat: formatOf(config),
      temperature: config["temperature"],
      topP: config["topP"],
      maxTokens: config["maxOutputTokens"],
      stop: config["stopSequences"],
      seed: config["seed"],
      reasoning: thinkingOf(fieldsOf(config, "thinkingConfig")),
      metadata: body["labels"],
      extra: nonEmpty(
        withoutNulls({
          ...others(body, known),
          tools: tools.further,
          generationConfig: nonEmpty(furtherConfig),
          toolConfig: nonEmpty(furtherTools)
        })
      )
    })
    const sources = drafts.map(({ path }) => path)
    return validatedRequest(candidate, asked?.stream ?? false, (path, message) =>
      malformed(wirePath(path, sources), message)
    )
  })
}
