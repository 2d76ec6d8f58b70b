/** Several gateways behind one Redis, as processes. */
import { FileSystem } from "@effect/platform"
import { NodeFileSystem } from "@effect/platform-node"
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { bundled } from "../cli/bundle.js"
import { serving } from "../cli/serving.js"
import { post } from "../gateway/support/http.js"
import { redisServer } from "../support/redisServer.js"
import { witness } from "./crowd.js"

const { program } = bundled()

const started = serving(program)

describe("gateways that are given one Redis", () => {
  it.scopedLive("keep one truth of their keys", () =>
    Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      const { url } = yield* redisServer
      const provider = yield* witness("30 millis")
      const config = `${yield* files.makeTempDirectoryScoped()}/provider.json`
      yield* files.writeFileString(
        config,
        JSON.stringify({
          tested: [
            {
              model_name: "m",
              base_url: provider.baseUrl,
              api_keys: [{ key: "sk-one", max_concurrency: 2 }],
              rate_limit_capacity: 1000,
              rate_limit_refill_rate: 1000
            }
          ]
        })
      )
      const gateways = yield* Effect.all(
        [1, 2, 3].map(() => started({ EFFECT_LLM_CONFIG: config, REDIS_URL: url })),
        {
          concurrency: 3
        }
      )
      const statuses = yield* Effect.forEach(
        Array.from({ length: 18 }, (_, index) => gateways[index % 3]?.url ?? ""),
        (url) =>
          post(`${url}/v1/chat/completions`, { model: "m", messages: [{ role: "user", content: "Hello" }] }).pipe(
            Effect.map(({ status }) => status)
          ),
        { concurrency: "unbounded" }
      )
      expect(new Set(statuses)).toEqual(new Set([200]))
      expect(provider.mostInFlight()).toBe(2)
    }).pipe(Effect.provide(NodeFileSystem.layer))
  )
})
