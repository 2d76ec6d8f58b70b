/** The parts of an answer of `@effect/ai` where its versions differ: one module, since Effect 4 has other shapes. */
import type * as Response from "@effect/ai/Response"
import type * as Tool from "@effect/ai/Tool"
import { Option } from "effect"
import * as Usage from "../vocabulary/Usage.js"

type Tools = Record<string, Tool.Any>

/** A part of an answer, whole or streamed, other than an error. */
export type Part = Response.Part<Tools> | Exclude<Response.StreamPart<Tools>, Response.ErrorPart>

/** The id of the answer and the name of its model, of a part with metadata. */
export const idsOf = (
  part: Response.ResponseMetadataPart
): { readonly id: string | undefined; readonly model: string | undefined } => ({
  id: Option.getOrUndefined(part.id),
  model: Option.getOrUndefined(part.modelId)
})

/** The names of a tool that the provider runs, in a part of its call or result. */
export const namesOf = (tool: { readonly name: string; readonly providerName: string }) => ({
  name: tool.name,
  providerName: tool.providerName
})

/** The name of a tool that the provider runs, for the part of a prompt. */
export const promptNameOf = (part: { readonly name: string; readonly providerName?: string | undefined }): string =>
  part.providerName ?? part.name

export const encodeUsage = (usage: Usage.Usage): Response.FinishPartEncoded["usage"] => ({
  inputTokens: usage.inputTokens,
  outputTokens: usage.outputTokens,
  totalTokens: usage.totalTokens,
  reasoningTokens: usage.reasoningTokens,
  cachedInputTokens: usage.cachedInputTokens
})

/** The usage of an answer. Counts that the model does not report are impossible ones, which the caller replaces by estimates. */
export const decodeUsage = (usage: Response.Usage): Usage.Usage =>
  Usage.make({
    inputTokens: usage.inputTokens ?? -1,
    outputTokens: usage.outputTokens ?? -1,
    ...(usage.totalTokens === undefined ? {} : { totalTokens: usage.totalTokens }),
    ...(usage.reasoningTokens === undefined ? {} : { reasoningTokens: usage.reasoningTokens }),
    ...(usage.cachedInputTokens === undefined ? {} : { cachedInputTokens: usage.cachedInputTokens })
  })
