import type { Types } from "effect"
import { Either, Layer } from "effect"
import { Chat, ProviderClient, Usage, Wire } from "../src/index.js"

/** What the provider sends: the whole answer, or in each event of a stream one piece of it. */
type Said = { id?: string; result?: string; is_end?: boolean; finish_reason?: string; error_code?: number } & {
  usage?: { prompt_tokens: number; completion_tokens: number }
}

const usageOf = ({ usage }: Said) =>
  Usage.make({ inputTokens: usage?.prompt_tokens ?? 0, outputTokens: usage?.completion_tokens ?? 0 })

const reasonOf = (said: Said): Chat.FinishReason => (said.finish_reason === "length" ? "length" : "stop")

export const wire: Wire.ClientWire = {
  name: "ernie",
  framing: "sse",
  encodeRequest: ({ extra, maxTokens, messages, temperature, tools }, { model, stream }) => {
    if (tools !== undefined) return Either.left({ _tag: "Unsupported", feature: "tools" })
    const said = messages.map(({ content, role }) => ({ role, content: Chat.textOf(content) }))
    const system = said.flatMap(({ content, role }) => (role === "system" ? [content] : [])).join("\n")
    const turns = said.filter(({ role }) => role !== "system")
    const body = { system, messages: turns, stream, temperature, max_output_tokens: maxTokens, ...extra }
    return Either.right({ path: `/wenxinworkshop/chat/${model}`, body })
  },
  decodeResponse: (body, source) => {
    const said: Said = Object(body)
    if (said.error_code !== undefined) return Either.left({ _tag: "Reported", body })
    if (said.result === undefined) return Either.left(Wire.malformed("result", body))
    const silence = { reasoning: "", reasoningParts: [], refusal: "", toolCalls: [], providerMetadata: {} }
    const end = { finishReason: reasonOf(said), rawFinishReason: said.finish_reason ?? "", usage: usageOf(said) }
    return Either.right({ ...silence, ...end, id: said.id ?? "", model: source.model, text: said.result })
  },
  decodeStream: ({ model }) => {
    const stream: Types.Mutable<Wire.StreamDecoder> = {
      id: "",
      model,
      usage: Usage.empty,
      state: "open",
      push: ({ data }, out) => {
        const said: Said = JSON.parse(data)
        if (said.error_code !== undefined) return { _tag: "Reported", body: said }
        if (said.result) out.push({ _tag: "TextDelta", text: said.result })
        Object.assign(stream, { id: said.id ?? "", usage: usageOf(said) })
        if (said.is_end !== true) return undefined
        stream.state = "done"
        const finish = { reason: reasonOf(said), rawReason: said.finish_reason ?? "", usage: stream.usage }
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
