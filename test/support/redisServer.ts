/** A real Redis for a test: nothing is kept on disk, and it ends with the scope. Tests may stop, kill and restart it. */
import { Effect, Ref, Schedule } from "effect"
import type { Scope } from "effect"
import { Redis as Client } from "ioredis"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Kills it: what it knew is lost. */
  readonly kill: Effect.Effect<void>
  /** Starts it again on the same port, with nothing in it. */
  readonly start: Effect.Effect<void>
  /** Lets it hang: connections stay, nothing is answered. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
  /** What a test wants to ask it directly. */
  readonly client: Client
}

const howToInstall =
  "redis-server is not installed, and these tests speak with a real one. Install it (apt-get install redis-server, or " +
  "brew install redis) and run them again."

const freePort = Effect.promise(
  () =>
    new Promise<number>((resolve, reject) => {
      const server = createServer()
      server.once("error", reject)
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        server.close(() => resolve(port))
      })
    })
)

const spawned = (port: number): Effect.Effect<ChildProcess> =>
  Effect.async((resume) => {
    const child = spawn(
      "redis-server",
      ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"],
      {
        stdio: "ignore"
      }
    )
    child.once("error", () => resume(Effect.die(new Error(howToInstall))))
    child.once("spawn", () => resume(Effect.succeed(child)))
  })

const killed = (child: ChildProcess): Effect.Effect<void> =>
  Effect.promise(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const exited = once(child, "exit")
    child.kill("SIGKILL")
    await exited
  })

export const redisServer: Effect.Effect<RedisServer, never, Scope.Scope> = Effect.gen(function* () {
  const port = yield* freePort
  const ref = yield* Effect.acquireRelease(Effect.flatMap(spawned(port), Ref.make), (ref) =>
    Effect.flatMap(Ref.get(ref), killed)
  )
  const client = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const client = new Client({ port, host: "127.0.0.1", retryStrategy: () => 10, maxRetriesPerRequest: null })
      client.on("error", () => undefined)
      return client
    }),
    (client) => Effect.sync(() => client.disconnect())
  )
  const answers = Effect.retry(
    Effect.tryPromise(() => client.ping()),
    { schedule: Schedule.spaced("10 millis"), times: 500 }
  ).pipe(Effect.orDie, Effect.asVoid)
  yield* answers
  const signal = (name: NodeJS.Signals) => Effect.map(Ref.get(ref), (child) => void child.kill(name))
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    client,
    kill: Effect.flatMap(Ref.get(ref), killed),
    start: Effect.zipRight(
      Effect.flatMap(spawned(port), (child) => Ref.set(ref, child)),
      answers
    ),
    freeze: signal("SIGSTOP"),
    thaw: signal("SIGCONT")
  }
})
