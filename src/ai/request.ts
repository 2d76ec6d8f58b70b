/** The options of a call of `@effect/ai` as a request. */
import type * as LanguageModel from "@effect/ai/LanguageModel"
import * as Tool from "@effect/ai/Tool"
import type { ChatRequest, ResponseFormat, ToolChoice, ToolDefinition } from "../vocabulary/Chat.js"
import type { FindAnswer } from "./prompt.js"
import { messagesOf } from "./prompt.js"
import { descriptionOf, jsonSchemaOf, parametersOf } from "./tools.js"

/** Fields of every request of a language model that its calls do not have. */
export interface Defaults extends Omit<ChatRequest, "messages" | "tools" | "toolChoice" | "responseFormat"> {}

/** The description and the parameters of a tool. */
export const definition = (tool: Tool.Any): ToolDefinition => {
  const description = tool.description ?? descriptionOf(tool.parametersSchema)
  return {
    name: tool.name,
    ...(description === undefined ? {} : { description }),
    parameters: parametersOf(tool)
  }
}

/** The tool as its provider's API names it. Anthropic's tools have a version in the type and a name of their own. */
const providerTool = (tool: Tool.Any): Record<string, unknown> | undefined => {
  if (!Tool.isProviderDefined(tool)) return undefined
  const type = tool.id.slice(tool.id.indexOf(".") + 1)
  return { ...tool.args, type, ...(tool.id.startsWith("anthropic.") ? { name: tool.providerName } : {}) }
}

const toolChoice = (choice: LanguageModel.ProviderOptions["toolChoice"]): ToolChoice => {
  if (typeof choice === "string") return choice
  return "tool" in choice ? { name: choice.tool } : (choice.mode ?? "auto")
}

const responseFormat = (
  format: LanguageModel.ProviderOptions["responseFormat"]
): { responseFormat?: ResponseFormat } => {
  if (format.type === "text") return {}
  const description = descriptionOf(format.schema)
  return {
    responseFormat: {
      name: format.objectName,
      schema: jsonSchemaOf(format.schema),
      ...(description === undefined ? {} : { description })
    }
  }
}

/** `tools` has only those that the tool choice allows. */
export const requestOf = (
  options: LanguageModel.ProviderOptions,
  defaults: Defaults,
  find: FindAnswer
): ChatRequest => {
  const ofProvider = options.tools.flatMap((tool) => providerTool(tool) ?? [])
  const tools = options.tools.filter((tool) => !Tool.isProviderDefined(tool)).map(definition)
  return {
    ...defaults,
    messages: messagesOf(options.prompt, find),
    ...(options.tools.length === 0 ? {} : { toolChoice: toolChoice(options.toolChoice) }),
    ...(tools.length === 0 ? {} : { tools }),
    ...(ofProvider.length === 0 ? {} : { extra: { ...defaults.extra, tools: ofProvider } }),
    ...responseFormat(options.responseFormat)
  }
}
