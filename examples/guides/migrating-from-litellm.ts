/** Migrating from a LiteLLM configuration (docs/migrating-from-litellm.md): its names of models and its keys work at the gateway. */
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { HttpServer } from "@effect/platform"
import { Console, Effect, Layer } from "effect"
import { Models } from "effect-llm"
import { Access, Gateway, GatewayServer } from "effect-llm/gateway"
import { NodeTransport } from "effect-llm/node"
import { createHash } from "node:crypto"

const base_url = process.env["OPENAI_BASE_URL"] ?? "https://api.openai.com/v1"
const api_keys = ["${OPENAI_API_KEY}"]
const file = JSON.stringify({
  azure: [
    { model_name: "gpt-4o-eu", base_url, api_keys, requests_per_minute: 600, max_retries: 3, on_unsupported: "drop" }
  ],
  openai: [{ model_name: "gpt-4o", base_url, api_keys, requests_per_minute: 300, max_retries: 3 }],
  vllm: [{ model_name: "llama-3.3-70b", base_url, api_keys: ["none"], aliases: ["local"], rate_limit_capacity: null }],
  $groups: {
    "gpt-4o": { strategy: "least-loaded", members: ["azure/gpt-4o-eu", { model: "openai/gpt-4o", order: 1 }] }
  },
  $aliases: { "gpt-4": "gpt-4o" },
  $default: "gpt-4o"
})

// The `token` of a virtual key in LiteLLM's database.
const sha256 = createHash("sha256").update("sk-team-a").digest("hex")

const program = Effect.gen(function* () {
  const url = HttpServer.formatAddress((yield* HttpServer.HttpServer).address)
  const ask = (model: string) =>
    Effect.promise(() =>
      fetch(`${url}/v1/chat/completions`, {
        method: "POST",
        headers: { authorization: "Bearer sk-team-a" },
        body: JSON.stringify({ model, messages: [{ role: "user", content: "Hello" }] })
      })
    )
  for (const model of ["gpt-4o", "gpt-4", "local"]) {
    if ((yield* ask(model)).status !== 200) return yield* Effect.dieMessage(`${model} does not answer`)
  }
  if ((yield* ask("llama-3.3-70b")).status !== 404)
    return yield* Effect.dieMessage("A key calls only the names it includes")
  yield* Console.log("The names of the models and the key of LiteLLM work.")
})

const server = GatewayServer.layer({ port: 0 })
const keys = Access.layer({ keys: [{ key: { sha256 }, label: "team-a", models: ["gpt-4o", "gpt-4", "local"] }] })
const models = Layer.unwrapEffect(Effect.map(Models.parseFile(file, "provider.json"), (parsed) => Models.layer(parsed)))

program.pipe(
  Effect.provide(Layer.merge(server, Gateway.layer().pipe(Layer.provide(server)))),
  Effect.provide(Layer.merge(keys, models)),
  Effect.provide(Layer.merge(NodeContext.layer, NodeTransport.layerUndici)),
  NodeRuntime.runMain
)
