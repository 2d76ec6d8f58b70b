/** The parts of an answer of Effect's language models where they differ from those of `@effect/ai`. */
import type * as Response from "effect/ai/Response"
import type * as Tool from "effect/ai/Tool"
import * as Usage from "../vocabulary/Usage.js"

type Tools = Record<string, Tool.Any>

/** A part of an answer, whole or streamed, other than an error. An `LLM` asks for no approval, since its caller runs the tools. */
export type Part = Exclude<
  Response.Part<Tools, "encoded"> | Response.StreamPart<Tools, "encoded">,
  Response.ErrorPart | Response.ToolApprovalRequestPart
>

/** The id of the answer and the name of its model, of a part with metadata. */
export const idsOf = (
  part: Response.ResponseMetadataPart
): { readonly id: string | undefined; readonly model: string | undefined } => ({ id: part.id, model: part.modelId })

/** The name of a tool that the provider runs, in a part of its call or result. */
export const namesOf = ({ name }: { readonly name: string }) => ({ name })

/** The name of a tool that the provider runs, for the part of a prompt. */
export const promptNameOf = ({ name }: { readonly name: string }): string => name

export const encodeUsage = (usage: Usage.Usage): Response.FinishPartEncoded["usage"] => ({
  inputTokens: {
    uncached: Math.max(0, usage.inputTokens - usage.cachedInputTokens - usage.cacheWriteTokens),
    total: usage.inputTokens,
    cacheRead: usage.cachedInputTokens,
    cacheWrite: usage.cacheWriteTokens
  },
  outputTokens: {
    total: usage.outputTokens,
    text: Math.max(0, usage.outputTokens - usage.reasoningTokens),
    reasoning: usage.reasoningTokens
  }
})

/** The usage of an answer. Counts that the model does not report are impossible ones, which the caller replaces by estimates. */
export const decodeUsage = ({ inputTokens, outputTokens }: Response.Usage): Usage.Usage =>
  Usage.make({
    inputTokens: inputTokens.total ?? -1,
    outputTokens: outputTokens.total ?? -1,
    ...(outputTokens.reasoning === undefined ? {} : { reasoningTokens: outputTokens.reasoning }),
    ...(inputTokens.cacheRead === undefined ? {} : { cachedInputTokens: inputTokens.cacheRead }),
    ...(inputTokens.cacheWrite === undefined ? {} : { cacheWriteTokens: inputTokens.cacheWrite })
  })
