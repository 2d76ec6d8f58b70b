import type { Types } from "effect"
import { Either, Layer } from "effect"
import { Chat, ProviderClient, Usage } from "effect-llm"
import { Wire } from "effect-llm/wire"

/** A response of the provider: the whole answer, or a part of it in each event of a stream. */
type Reply = { id?: string; result?: string; is_end?: boolean; finish_reason?: string; error_code?: number } & {
  usage?: { prompt_tokens: number; completion_tokens: number }
}

const usageOf = ({ usage }: Reply) =>
  Usage.make({ inputTokens: usage?.prompt_tokens ?? 0, outputTokens: usage?.completion_tokens ?? 0 })

const reasonOf = (reply: Reply): Chat.FinishReason => (reply.finish_reason === "length" ? "length" : "stop")

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
    const reply: Reply = Object(body)
    if (reply.error_code !== undefined) return Either.left({ _tag: "Reported", body })
    if (reply.result === undefined) return Either.left(Wire.malformed("result", body))
    const finish = { finishReason: reasonOf(reply), rawFinishReason: reply.finish_reason ?? "", usage: usageOf(reply) }
    const fields = { ...finish, id: reply.id ?? "", model: source.model, providerMetadata: {} }
    return Either.right(Chat.withContent(fields, [Chat.text(reply.result)]))
  },
  decodeStream: ({ model }) => {
    const stream: Types.Mutable<Wire.StreamDecoder> = {
      id: "",
      model,
      usage: Usage.empty,
      state: "open",
      push: ({ data }, out) => {
        const reply: Reply = JSON.parse(data)
        if (reply.error_code !== undefined) return { _tag: "Reported", body: reply }
        if (reply.result) out.push({ _tag: "TextDelta", index: 0, text: reply.result })
        Object.assign(stream, { id: reply.id ?? "", usage: usageOf(reply) })
        if (reply.is_end !== true) return undefined
        stream.state = "done"
        const finish = { reason: reasonOf(reply), rawReason: reply.finish_reason ?? "", usage: stream.usage }
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
