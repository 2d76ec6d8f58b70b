/** The package `ioredis` as this library wants it: no queue behind a lost connection, nothing sent twice, nothing told of secrets. */
import type { Scope } from "effect"
import { Effect, Redacted } from "effect"
import type { Cluster, RedisOptions } from "ioredis"
import { Redis as Client } from "ioredis"

export interface Connection {
  /** Runs a script by its hash where it is known, else by its text. */
  readonly evaluate: (
    script: string,
    known: boolean,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | number>
  ) => Promise<unknown>
  /** Ends when the connection breaks. */
  readonly lost: Effect.Effect<string>
  /** The text without what is secret of the connection. */
  readonly masked: (text: string) => string
}

/** Why there is no reply. */
export interface NoReply {
  readonly reason: "connection" | "timeout" | "script"
  /** The first word of Redis's own error, such as `NOSCRIPT`; empty where it gave none. */
  readonly code: string
  readonly detail: string
}

/** Errors with which a Redis says that it is of no use now, whatever it is asked. From its source, `server.c` and `cluster.c`. */
const useless: ReadonlySet<string> = new Set([
  "BUSY",
  "CLUSTERDOWN",
  "LOADING",
  "MASTERDOWN",
  "MISCONF",
  "NOAUTH",
  "NOPERM",
  "NOREPLICAS",
  "OOM",
  "READONLY",
  "TRYAGAIN",
  "WRONGPASS"
])

const refused = (error: unknown): NoReply => {
  const detail = error instanceof Error ? error.message : String(error)
  // What Redis itself answers is a `ReplyError`; all else is of the connection.
  if (!(error instanceof Error && error.name === "ReplyError")) return { reason: "connection", code: "", detail }
  const code = /^[A-Z]+(?= )/.exec(detail)?.[0] ?? ""
  return { reason: useless.has(code) ? "connection" : "script", code, detail }
}

/** Waits so many milliseconds for a reply, and no longer, also where it cannot be interrupted. */
export const reply = <A>(ask: () => Promise<A>, timeout: number): Effect.Effect<A, NoReply> =>
  Effect.async((resume) => {
    const late: NoReply = { reason: "timeout", code: "", detail: `no reply within ${timeout} ms` }
    const timer = setTimeout(() => resume(Effect.fail(late)), timeout)
    const answered = (exit: Effect.Effect<A, NoReply>) => {
      clearTimeout(timer)
      resume(exit)
    }
    ask().then(
      (value) => answered(Effect.succeed(value)),
      (error: unknown) => answered(Effect.fail(refused(error)))
    )
    return Effect.sync(() => clearTimeout(timer))
  })

const connection = (client: Client | Cluster, secrets: ReadonlyArray<string>): Connection => ({
  evaluate: (script, known, keys, args) =>
    known ? client.evalsha(script, keys.length, ...keys, ...args) : client.eval(script, keys.length, ...keys, ...args),
  lost: Effect.async((resume) => {
    const closed = () => resume(Effect.succeed("the connection is closed"))
    client.once("close", closed)
    return Effect.sync(() => client.off("close", closed))
  }),
  masked: (text) => secrets.reduce((masked, secret) => masked.replaceAll(secret, "<redacted>"), text)
})

/** `ioredis` prints errors that nobody listens to. Each of them fails a command too, or is told by the loss of the connection. */
const unheard = (): void => undefined

const ours = (options: RedisOptions, timeout: number): RedisOptions => ({
  connectTimeout: timeout,
  // A connection that has gone silent is given up for a new one.
  socketTimeout: 3 * timeout,
  retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), 1000),
  // The node is no longer the one that takes writes: the next connection may find the one that does.
  reconnectOnError: (error) => error.message.startsWith("READONLY"),
  ...options,
  lazyConnect: true,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false
})

const secretsOf = (url: string | undefined, options: RedisOptions): ReadonlyArray<string> => {
  const inUrl = /^[^:/?#]+:\/\/[^@/?#]*?:([^@]*)@/.exec(url ?? "")?.[1]
  const found = [url, inUrl, inUrl === undefined ? undefined : decoded(inUrl), options.password]
  return found.flatMap((secret) => (typeof secret === "string" && secret !== "" ? [secret] : []))
}

const decoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** A connection that is closed with the scope. It is tried for `timeout` milliseconds at most before this returns. */
export const open = (
  from: string | Redacted.Redacted<string> | undefined,
  options: RedisOptions,
  timeout: number
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function* () {
    const url = Redacted.isRedacted(from) ? Redacted.value(from) : from
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const all = ours(options, timeout)
        const client = url === undefined ? new Client(all) : new Client(url, all)
        client.on("error", unheard)
        return client
      }),
      (client) => Effect.sync(() => client.disconnect())
    )
    // Whether it is there is for the first probe to say.
    yield* Effect.ignore(reply(() => client.connect(), timeout))
    return connection(client, secretsOf(url, options))
  })

/** A connection that is somebody else's, who hears of its errors himself. */
export const borrow = (client: Client | Cluster): Connection => connection(client, [])
