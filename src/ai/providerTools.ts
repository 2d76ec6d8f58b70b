/** Parts of an answer that only its provider's protocol has: media that the model made, and calls and results of tools that the provider runs. */
import type * as Response from "@effect/ai/Response"
import * as Tool from "@effect/ai/Tool"
import { Struct } from "effect"
import type { ProviderPart } from "../vocabulary/Chat.js"
import { metadataOf } from "./metadata.js"
import { namesOf } from "./responseParts.js"

type Fields = Readonly<Record<string, unknown>>

type Executed = Response.ToolCallPartEncoded | Response.ToolResultPartEncoded | Response.FilePartEncoded

const isFields = (value: unknown): value is Fields => typeof value === "object" && value !== null

/** The item of Responses, or the block of Messages. */
const itemOf = ({ native }: ProviderPart): Fields | undefined =>
  Object.values(native)
    .map((fields) => fields["item"] ?? fields)
    .find(isFields)

const find = (tools: ReadonlyArray<Tool.Any>, providerName: string) =>
  tools.filter(Tool.isProviderDefined).find((tool) => tool.providerName === providerName)

/** What a tool of Responses was given, by the type of its item; every other field is its result. */
const paramFields: Readonly<Record<string, ReadonlyArray<string>>> = {
  code_interpreter_call: ["code", "container_id"],
  web_search_call: ["action"]
}

const resultOf = (item: Fields): unknown => {
  switch (item["type"]) {
    case "code_interpreter_call":
      return item["outputs"]
    case "web_search_call":
      return Struct.pick(item, "status")
    case "file_search_call":
      return Object.fromEntries(
        ["status", "queries", "results"].flatMap((key) => (item[key] == null ? [] : [[key, item[key]]]))
      )
    default:
      return item
  }
}

/** An image or another file that a model made: `inlineData` of Gemini (API reference, `Blob`). */
const madeFile = (part: ProviderPart): ReadonlyArray<Response.FilePartEncoded> => {
  const inlineData = part.native["gemini"]?.["inlineData"]
  if (!isFields(inlineData)) return []
  const { data, mimeType } = inlineData
  return typeof data === "string" && typeof mimeType === "string"
    ? [{ type: "file", mediaType: mimeType, data, metadata: metadataOf(Struct.pick(part, "native", "provider")) }]
    : []
}

/**
 * A file, or the parts of a tool that the provider ran: none unless it is one of `tools`, since `@effect/ai` refuses parts of unknown tools.
 * An item of Responses is both call and result, so that only its call keeps it for the next turn.
 */
export const ofProvider = (part: ProviderPart, tools: ReadonlyArray<Tool.Any>): ReadonlyArray<Executed> => {
  const made = madeFile(part)
  if (made.length > 0) return made
  const item = itemOf(part)
  if (item === undefined) return []
  const type = String(item["type"])
  const metadata = metadataOf(Struct.pick(part, "native", "provider"))
  const isBlock = type === "server_tool_use" || type.endsWith("_tool_result")
  const tool = find(
    tools,
    type === "server_tool_use" ? String(item["name"]) : type.replace(isBlock ? /_tool_result$/ : /_call$/, "")
  )
  if (tool === undefined) return []
  const common = { ...namesOf(tool), providerExecuted: true }
  if (type === "server_tool_use") {
    return [{ ...common, type: "tool-call", id: String(item["id"]), params: item["input"], metadata }]
  }
  if (isBlock) {
    const result = item["content"]
    const isFailure = isFields(result) && String(result["type"]).endsWith("_error")
    return [{ ...common, type: "tool-result", id: String(item["tool_use_id"]), result, isFailure, metadata }]
  }
  const id = String(item["id"])
  const params = Object.fromEntries((paramFields[type] ?? []).map((field) => [field, item[field]]))
  return [
    { ...common, type: "tool-call", id, params, metadata },
    { ...common, type: "tool-result", id, result: resultOf(item), isFailure: item["status"] === "failed" }
  ]
}
