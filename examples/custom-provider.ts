import type { Types } from "effect"
import { Either, Layer } from "effect"
import { Chat, ProviderClient, Usage, Wire } from "../src/index.js"

/** A response of the provider: the whole answer, or a part of it in each event of a stream. */
type ProviderResponse = {
  id?: string
  result?: string
  is_end?: boolean
  finish_reason?: string
  error_code?: number
} & {
  usage?: { prompt_tokens: number; completion_tokens: number }
}

const usageOf = ({ usage }: ProviderResponse) =>
  Usage.make({ inputTokens: usage?.prompt_tokens ?? 0, outputTokens: usage?.completion_tokens ?? 0 })

const finishReasonOf = (response: ProviderResponse): Chat.FinishReason =>
  response.finish_reason === "length" ? "length" : "stop"

export const wire: Wire.ClientWire = {
  name: "ernie",
  framing: "sse",
  encodeRequest: ({ extra, maxTokens, messages, temperature, tools }, { model, stream }) => {
    if (tools !== undefined) return Either.left({ _tag: "Unsupported", feature: "tools" })
    const texts = messages.map(({ content, role }) => ({ role, content: Chat.textOf(content) }))
    const system = texts.flatMap(({ content, role }) => (role === "system" ? [content] : [])).join("\n")
    const turns = texts.filter(({ role }) => role !== "system")
    const body = { system, messages: turns, stream, temperature, max_output_tokens: maxTokens, ...extra }
    return Either.right({ path: `/wenxinworkshop/chat/${model}`, body })
  },
  decodeResponse: (body, source) => {
    const response: ProviderResponse = Object(body)
    if (response.error_code !== undefined) return Either.left({ _tag: "Reported", body })
    if (response.result === undefined) return Either.left(Wire.malformed("result", body))
    const emptyFields = { reasoning: "", reasoningParts: [], refusal: "", toolCalls: [], providerMetadata: {} }
    const completion = {
      finishReason: finishReasonOf(response),
      rawFinishReason: response.finish_reason ?? "",
      usage: usageOf(response)
    }
    return Either.right({
      ...emptyFields,
      ...completion,
      id: response.id ?? "",
      model: source.model,
      text: response.result
    })
  },
  decodeStream: ({ model }) => {
    const stream: Types.Mutable<Wire.StreamDecoder> = {
      id: "",
      model,
      usage: Usage.empty,
      state: "open",
      push: ({ data }, out) => {
        const response: ProviderResponse = JSON.parse(data)
        if (response.error_code !== undefined) return { _tag: "Reported", body: response }
        if (response.result) out.push({ _tag: "TextDelta", text: response.result })
        Object.assign(stream, { id: response.id ?? "", usage: usageOf(response) })
        if (response.is_end !== true) return undefined
        stream.state = "done"
        const finish = {
          reason: finishReasonOf(response),
          rawReason: response.finish_reason ?? "",
          usage: stream.usage
        }
        out.push({ _tag: "Finish", ...finish, latency: 0, providerMetadata: {} })
        return undefined
      },
      end: () => (stream.state === "done" ? undefined : { _tag: "Truncated" })
    }
    return stream
  }
}

export const layer = (baseUrl: string) =>
  Layer.effect(ProviderClient.ProviderClient, ProviderClient.make(wire, { provider: "ernie", baseUrl }))
