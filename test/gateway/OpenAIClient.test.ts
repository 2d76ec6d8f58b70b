/** The official `openai` package against the gateway, over sockets. */
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import OpenAI from "openai"
import type { Running, Upstream } from "./support/gateway.js"
import { start } from "./support/gateway.js"

const clientOf = ({ url }: Running) => new OpenAI({ apiKey: "anything", baseURL: `${url}/v1`, maxRetries: 0 })

const upstreams: ReadonlyArray<Upstream> = ["openai", "anthropic", "gemini", "responses"]

describe.each(upstreams)("openai in front of %s", (upstream) => {
  const model = `${upstream}/large`

  it.scopedLive("chats", () =>
    Effect.gen(function* () {
      const gateway = yield* start()
      const client = clientOf(gateway)
      const answer = yield* Effect.promise(() =>
        client.chat.completions.create({ model, messages: [{ role: "user", content: "Hello" }] })
      )
      expect(answer.choices[0]?.message.content).toBe("You said: Hello")
      expect(answer.usage?.total_tokens).toBeGreaterThan(0)
      expect(answer.created).toBeGreaterThan(1_700_000_000)
    })
  )

  it.scopedLive("streams", () =>
    Effect.gen(function* () {
      const gateway = yield* start()
      const client = clientOf(gateway)
      const text = yield* Effect.promise(async () => {
        let text = ""
        const stream = await client.chat.completions.create({
          model,
          stream: true,
          messages: [{ role: "user", content: "Hello" }]
        })
        for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ""
        return text
      })
      expect(text).toBe("You said: Hello")
    })
  )
})
