/** A process that opens a circuit and hangs in the probe call of the deployment: probeHolder.ts <url>. */
import { Console, Effect } from "effect"
import * as Balance from "../../src/routing/Balance.js"
import * as LLMErrors from "../../src/vocabulary/LLMError.js"
import * as Redis from "../../src/redis/Redis.js"
import * as RedisDeploymentHealth from "../../src/redis/RedisDeploymentHealth.js"
import { context, scripted } from "./scripted.js"

const [, , url = ""] = process.argv

const program = Effect.gen(function* () {
  const failing = new LLMErrors.ProviderUnavailableError({ ...context, status: 500, message: "boom" })
  const llm = yield* scripted(failing, Effect.zipRight(Console.log("probing"), Effect.never))
  const self = yield* Balance.make([{ llm, id: "a" }], { breaker: { failures: 1, cooldown: { base: "50 millis" } } })
  yield* Effect.ignore(self.chat("?"))
  yield* self.chat("?")
}).pipe(
  Effect.provideServiceEffect(
    Balance.DeploymentHealth,
    RedisDeploymentHealth.make({ name: "test", pollInterval: 40, leaseTime: 1500 })
  ),
  Effect.provideServiceEffect(Redis.Redis, Redis.make({ url })),
  Effect.scoped
)

await Effect.runPromise(program)
