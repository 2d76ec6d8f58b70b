/** A real Redis for a test, without persistence, stopped when the scope closes. Tests can freeze, kill and restart it. */
import { Effect, Ref, Schedule } from "effect"
import type { Scope } from "effect"
import { Redis as Client } from "ioredis"
import type { ChildProcess } from "node:child_process"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtemp, rm } from "node:fs/promises"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

export interface RedisServer {
  readonly url: string
  readonly port: number
  /** Kills the process: all data is lost. */
  readonly kill: Effect.Effect<void>
  /** Starts an empty process on the same port. */
  readonly start: Effect.Effect<void>
  /** Suspends the process: connections stay open without replies. */
  readonly freeze: Effect.Effect<void>
  readonly thaw: Effect.Effect<void>
  /** A client for direct commands of a test. */
  readonly client: Client
}

const howToInstall =
  "redis-server is not installed, and these tests need it. Install it (apt-get install redis-server, or " +
  "brew install redis) and run them again."

/**
 * A free port below the range for outgoing connections: otherwise a client that connects to a stopped server could get the port
 * itself. A cluster also listens on the port that is ten thousand higher, which is below that range, too.
 */
const freePort = Effect.async<number, Error>((resume) => {
  const server = createServer()
  const port = 10_000 + Math.floor(Math.random() * 10_000)
  server.once("error", (error) => resume(Effect.fail(error)))
  server.listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(port))))
}).pipe(Effect.retry({ times: 100 }), Effect.orDie)

const spawned = (port: number, settings: ReadonlyArray<string>): Effect.Effect<ChildProcess> =>
  Effect.async((resume) => {
    const child = spawn(
      "redis-server",
      ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", ...settings],
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

/** Waits until this process replies, and not that of another test on the same port. Fails when it has exited, as on a port in use. */
const answers = (child: ChildProcess, client: Client): Effect.Effect<void, Error> =>
  Effect.tryPromise(() => client.info("server")).pipe(
    Effect.timeout("1 second"),
    Effect.map((info) => info.includes(`process_id:${child.pid}\r\n`)),
    Effect.orElseSucceed(() => false),
    Effect.flatMap((isThis) =>
      isThis || child.exitCode === null ? Effect.succeed(isThis) : Effect.fail(new Error("redis-server has ended."))
    ),
    Effect.repeat({ until: (isThis) => isThis, schedule: Schedule.spaced("10 millis") })
  )

const started = (settings: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const port = yield* freePort
    const ref = yield* Effect.acquireRelease(Effect.flatMap(spawned(port, settings), Ref.make), (ref) =>
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
    const running = Effect.flatMap(Ref.get(ref), (child) => answers(child, client))
    // Stops connecting to a port in use, where the server of another test can listen.
    yield* Effect.tapError(running, () => Effect.sync(() => client.disconnect()))
    return { port, ref, client, running }
  })

const make = (settings: ReadonlyArray<string>): Effect.Effect<RedisServer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { client, port, ref, running } = yield* Effect.orDie(Effect.retry(started(settings), { times: 5 }))
    const signal = (name: NodeJS.Signals) => Effect.map(Ref.get(ref), (child) => void child.kill(name))
    return {
      url: `redis://127.0.0.1:${port}`,
      port,
      client,
      kill: Effect.flatMap(Ref.get(ref), killed),
      start: Effect.flatMap(spawned(port, settings), (child) => Ref.set(ref, child)).pipe(
        Effect.zipRight(running),
        Effect.orDie
      ),
      freeze: signal("SIGSTOP"),
      thaw: signal("SIGCONT")
    }
  })

export const redisServer: Effect.Effect<RedisServer, never, Scope.Scope> = make([])

const temporaryFolder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "effect-llm-"))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true }))
)

const clusterNode = Effect.flatMap(temporaryFolder, (folder) =>
  make([
    "--cluster-enabled",
    "yes",
    "--cluster-announce-ip",
    "127.0.0.1",
    "--cluster-node-timeout",
    "1000",
    "--cluster-require-full-coverage",
    "no",
    "--dir",
    folder
  ])
)

const slots = 16_384

/** A cluster of this many nodes, each with an equal part of the slots, none with a replica. */
export const redisNodes = (count: number): Effect.Effect<ReadonlyArray<RedisServer>, never, Scope.Scope> =>
  Effect.gen(function* () {
    const nodes = yield* Effect.all(
      Array.from({ length: count }, () => clusterNode),
      { concurrency: "unbounded" }
    )
    yield* Effect.forEach(nodes, ({ client }, index) =>
      Effect.promise(async () => {
        const first = Math.floor((index * slots) / count)
        const last = Math.floor(((index + 1) * slots) / count) - 1
        await client.call("CLUSTER", "ADDSLOTSRANGE", first, last)
        // Nodes with one epoch would have to agree on new ones first.
        await client.call("CLUSTER", "SET-CONFIG-EPOCH", index + 1)
        if (index > 0) await client.call("CLUSTER", "MEET", "127.0.0.1", nodes[0]?.port ?? 0)
      })
    )
    yield* Effect.forEach(nodes, ({ client }) =>
      Effect.repeat(
        Effect.promise(() => client.call("CLUSTER", "INFO")),
        {
          until: (info) =>
            ["cluster_state:ok", `cluster_slots_ok:${slots}`].every((line) => String(info).includes(line)),
          schedule: Schedule.spaced("20 millis")
        }
      )
    )
    return nodes
  })

/** A cluster of one node, which enforces the rule that a script uses only keys of one slot. */
export const redisCluster: Effect.Effect<RedisServer, never, Scope.Scope> = Effect.flatMap(redisNodes(1), ([node]) =>
  node === undefined ? Effect.dieMessage("A cluster of one node has one.") : Effect.succeed(node)
)
