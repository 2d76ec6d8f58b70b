/** The gateway for other languages (docs/gateway.md): a program that serves it, and clients of both protocols over plain HTTP. */
import { FileSystem, HttpServer } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { ConfigProvider, Console, Effect, Layer } from "effect"
import { Models } from "effect-llm"
import { Access, Gateway, GatewayServer } from "effect-llm/gateway"
import { NodeTransport } from "effect-llm/node"

const base_url = process.env["OPENAI_BASE_URL"] ?? "https://api.openai.com/v1"
const file = { openai: [{ model_name: "gpt-4o-mini", base_url, api_keys: ["${OPENAI_API_KEY}"] }] }

const clients = Effect.gen(function* () {
  const url = HttpServer.formatAddress((yield* HttpServer.HttpServer).address)
  const expect = (path: string, headers: Record<string, string>, body: object, status: number, part: string) =>
    Effect.gen(function* () {
      const messages = [{ role: "user", content: "Hello" }]
      const request = {
        method: "POST",
        headers,
        body: JSON.stringify({ model: "openai/gpt-4o-mini", messages, ...body })
      }
      const response = yield* Effect.promise(() => fetch(`${url}${path}`, request))
      const text = yield* Effect.promise(() => response.text())
      yield* Console.log(`${response.status} ${text.slice(0, 100)}`)
      if (response.status !== status || !text.includes(part)) return yield* Effect.dieMessage(`${path}: ${text}`)
    })
  const key = { authorization: "Bearer sk-team-a" }
  yield* expect("/v1/chat/completions", key, {}, 200, '"choices"')
  yield* expect("/v1/chat/completions", key, { stream: true }, 200, "data: [DONE]")
  yield* expect("/v1/messages", { "x-api-key": "sk-team-a" }, { max_tokens: 100 }, 200, '"type":"message"')
  yield* expect("/v1/chat/completions", {}, {}, 401, "No API key was sent")
  yield* expect("/v1/chat/completions", key, { model: "other" }, 404, "does not exist")
})

const program = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const path = yield* files.makeTempFileScoped({ suffix: ".json" })
  yield* files.writeFileString(path, JSON.stringify(file))
  const environment = Layer.setConfigProvider(
    ConfigProvider.orElse(ConfigProvider.fromMap(new Map([["EFFECT_LLM_GATEWAY_KEYS", "team-a=sk-team-a"]])), () =>
      ConfigProvider.fromEnv()
    )
  )
  const Live = Gateway.layer().pipe(
    Layer.provideMerge(GatewayServer.layer({ host: "127.0.0.1", port: 0 })),
    Layer.provide(Access.layerConfig()),
    Layer.provide(Models.layerFile(path)),
    Layer.provide(environment)
  )
  yield* Effect.provide(clients, Live)
})

program.pipe(
  Effect.scoped,
  Effect.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici)),
  NodeRuntime.runMain
)
