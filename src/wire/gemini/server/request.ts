/** Decodes requests. */
import { Either } from "effect"
import type { ChatRequest } from "../../../vocabulary/Chat.js"
import type { Json } from "../../json.js"
import { isRecord, nonEmpty, withoutNulls, record, records, string } from "../../json.js"
import { validatedRequest, pathBelow } from "../../decodedRequest.js"
import type { Address, WireFailure } from "../../Wire.js"
import { malformed } from "../../Wire.js"
import { targetOf } from "../address.js"
import { camelCased } from "../names.js"
import { fromOpenApi } from "../../schema/gemini.js"
import { decodeLogprobs, unpairedTop } from "../../sampling.js"
import { decodeMessages } from "./contents.js"

const fieldsOf = (from: Json, field: string): Json => withoutNulls(camelCased(record(from, field) ?? {}))

// -------------------------------------------------------------------------------------
// tools
// -------------------------------------------------------------------------------------

const definition = (from: Json, strict: boolean): Json => {
  const { description, name, parameters, parametersJsonSchema } = camelCased(from)
  return withoutNulls({
    name,
    description: description === "" ? undefined : description,
    parameters: parametersJsonSchema ?? (isRecord(parameters) ? fromOpenApi(parameters) : parameters),
    strict: strict ? true : undefined
  })
}

/** Functions and built-in tools, which one object can contain together. */
const toolsOf = (tools: unknown, strict: boolean): { readonly functions?: unknown; readonly builtIn?: unknown } => {
  if (tools === undefined) return {}
  if (!Array.isArray(tools)) return { functions: tools }
  const listed = tools.map((tool: unknown) => (isRecord(tool) ? withoutNulls(camelCased(tool)) : {}))
  const functions = listed.flatMap((tool) =>
    records(tool, "functionDeclarations").map((from) => definition(from, strict))
  )
  const builtIn = listed
    .map(({ functionDeclarations: _, ...fields }) => fields)
    .filter((fields) => Object.keys(fields).length > 0)
  return {
    ...(functions.length === 0 ? {} : { functions }),
    ...(builtIn.length === 0 ? {} : { builtIn })
  }
}

const choices: Readonly<Record<string, string>> = { AUTO: "auto", VALIDATED: "auto", NONE: "none", ANY: "required" }

/** The vocabulary does not cover a choice of several functions: its config is passed on unchanged. */
const choiceOf = (config: Json): { readonly choice?: unknown; readonly otherConfig?: Json } => {
  const { allowedFunctionNames: allowed, mode, ...otherConfig } = config
  const choice = choices[typeof mode === "string" ? mode.toUpperCase() : ""]
  if (Array.isArray(allowed) && allowed.length > 0) {
    return allowed.length === 1 && choice === "required" && Object.keys(otherConfig).length === 0
      ? { choice: { name: allowed[0] } }
      : { otherConfig: config }
  }
  return { choice, ...(Object.keys(otherConfig).length === 0 ? {} : { otherConfig }) }
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
      // -1: the model decides.
      budgetTokens: thinkingBudget === -1 ? undefined : thinkingBudget,
      summary: includeThoughts === true ? "auto" : undefined
    })
  )

/** The fields of `generationConfig` that are decoded. */
const configFields: ReadonlySet<string> = new Set([
  "frequencyPenalty",
  "logprobs",
  "maxOutputTokens",
  "presencePenalty",
  "responseJsonSchema",
  "responseLogprobs",
  "responseMimeType",
  "responseSchema",
  "seed",
  "stopSequences",
  "temperature",
  "thinkingConfig",
  "topK",
  "topP"
])

const bodyFields: ReadonlySet<string> = new Set([
  "contents",
  "generationConfig",
  "labels",
  "model",
  "systemInstruction",
  "toolConfig",
  "tools"
])

const otherFields = (from: Json, known: ReadonlySet<string>): Json =>
  Object.fromEntries(Object.entries(from).filter(([field]) => !known.has(field)))

// -------------------------------------------------------------------------------------
// paths of malformed fields
// -------------------------------------------------------------------------------------

/** Paths of the vocabulary with their replacements in the protocol. */
const wirePaths: ReadonlyArray<readonly [RegExp, string]> = [
  [/^tools\[(\d+)\]/, "tools[0].functionDeclarations[$1]"],
  [/^toolChoice\b/, "toolConfig.functionCallingConfig"],
  [/^maxTokens$/, "generationConfig.maxOutputTokens"],
  [/^stop\b/, "generationConfig.stopSequences"],
  [/^reasoning\.effort$/, "generationConfig.thinkingConfig.thinkingLevel"],
  [/^reasoning\.budgetTokens$/, "generationConfig.thinkingConfig.thinkingBudget"],
  [/^(?=(?:frequencyPenalty|logprobs|presencePenalty|seed|temperature|topK|topP)$)/, "generationConfig."]
]

const wirePath = (path: ReadonlyArray<PropertyKey>, sources: ReadonlyArray<string>): string => {
  if (path[0] === "messages") return sources[Number(path[1])] ?? "contents"
  const plain = pathBelow(path, {}).slice(1)
  return wirePaths.reduce((result, [pattern, replacement]) => result.replace(pattern, replacement), plain)
}

export const decodeRequest = (
  from: unknown,
  address?: Address
): Either.Either<{ readonly request: ChatRequest; readonly stream: boolean }, WireFailure> => {
  if (!isRecord(from)) return Either.left(malformed("", from))
  const body = withoutNulls(camelCased(from))
  const target = targetOf(address)
  const config = fieldsOf(body, "generationConfig")
  const toolConfig = fieldsOf(body, "toolConfig")
  const calling = fieldsOf(toolConfig, "functionCallingConfig")
  const { choice, otherConfig: otherCalling } = choiceOf(calling)
  const tools = toolsOf(body["tools"], calling["mode"] === "VALIDATED")
  const otherConfig = withoutNulls({
    ...otherFields(config, configFields),
    logprobs: unpairedTop(config["responseLogprobs"], config["logprobs"])
  })
  const otherToolConfig = withoutNulls({
    ...otherFields(toolConfig, new Set(["functionCallingConfig"])),
    functionCallingConfig: otherCalling
  })
  return Either.flatMap(decodeMessages(body["systemInstruction"], body["contents"]), (drafts) => {
    const candidate: unknown = withoutNulls({
      messages: drafts.map(({ message }) => message),
      model: target?.model ?? string(body, "model"),
      tools: tools.functions,
      toolChoice: choice,
      responseFormat: formatOf(config),
      temperature: config["temperature"],
      topP: config["topP"],
      topK: config["topK"],
      frequencyPenalty: config["frequencyPenalty"],
      presencePenalty: config["presencePenalty"],
      logprobs: decodeLogprobs(config["responseLogprobs"], config["logprobs"]),
      maxTokens: config["maxOutputTokens"],
      stop: config["stopSequences"],
      seed: config["seed"],
      reasoning: thinkingOf(fieldsOf(config, "thinkingConfig")),
      metadata: body["labels"],
      extra: nonEmpty(
        withoutNulls({
          ...otherFields(body, bodyFields),
          tools: tools.builtIn,
          generationConfig: nonEmpty(otherConfig),
          toolConfig: nonEmpty(otherToolConfig)
        })
      )
    })
    const sources = drafts.map(({ path }) => path)
    return validatedRequest(candidate, target?.stream ?? false, (path, message) =>
      malformed(wirePath(path, sources), message)
    )
  })
}
