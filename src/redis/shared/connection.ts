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
  /** Why Redis refuses the login, and what to do, for as long as it does. */
  readonly refusal: () => string | undefined
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

/** From `acl.c` and `server.c` of Redis; Redis 5 and earlier say "ERR invalid password". */
const isLoginRefused = (detail: string): boolean => /^(NOAUTH|WRONGPASS|ERR invalid password)\b/.test(detail)

const adviceOnLogin = (detail: string): string =>
  `the login is refused: ${detail.replace(/\.?$/, ".")} Set the right user name and password in the URL ` +
  "(redis://user:password@host:6379) or in the options of the client."

const refused = (error: unknown): NoReply => {
  const detail = error instanceof Error ? error.message : String(error)
  // What Redis itself answers is a `ReplyError`; all else is of the connection.
  if (!(error instanceof Error && error.name === "ReplyError")) return { reason: "connection", code: "", detail }
  const code = /^[A-Z]+(?= )/.exec(detail)?.[0] ?? ""
  return {
    reason: useless.has(code) ? "connection" : "script",
    code,
    detail: isLoginRefused(detail) ? adviceOnLogin(detail) : detail
  }
}

/**
 * Runs `expired` after so many milliseconds, unless it is cancelled before. A process that was busy itself for so long first reads
 * what has come meanwhile.
 */
const deadline = (millis: number, expired: () => void): (() => void) => {
  let isCancelled = false
  const timer = setTimeout(() => {
    setImmediate(() => {
      if (!isCancelled) expired()
    })
  }, millis)
  return () => {
    isCancelled = true
    clearTimeout(timer)
  }
}

/** Waits so many milliseconds for a reply, and no longer, also where it cannot be interrupted. */
export const reply = <A>(ask: () => Promise<A>, timeout: number): Effect.Effect<A, NoReply> =>
  Effect.async((resume) => {
    const late: NoReply = { reason: "timeout", code: "", detail: `no reply within ${timeout} ms` }
    const cancel = deadline(timeout, () => resume(Effect.fail(late)))
    const answered = (exit: Effect.Effect<A, NoReply>) => {
      cancel()
      resume(exit)
    }
    ask().then(
      (value) => answered(Effect.succeed(value)),
      (error: unknown) => answered(Effect.fail(refused(error)))
    )
    return Effect.sync(cancel)
  })

const connection = (
  client: Client | Cluster,
  secrets: ReadonlyArray<string>,
  refusal: Connection["refusal"]
): Connection => ({
  refusal,
  evaluate: (script, known, keys, args) =>
    known ? client.evalsha(script, keys.length, ...keys, ...args) : client.eval(script, keys.length, ...keys, ...args),
  lost: Effect.async((resume) => {
    const closed = () => resume(Effect.succeed("the connection is closed"))
    client.once("close", closed)
    return Effect.sync(() => client.off("close", closed))
  }),
  masked: (text) => secrets.reduce((masked, secret) => masked.replaceAll(secret, "<redacted>"), text)
})

/** Without `socketTimeout`: its timer is of the client and not of the socket, and would close the connection that comes after. */
const ours = ({ socketTimeout: _, ...options }: RedisOptions, timeout: number): RedisOptions => ({
  connectTimeout: timeout,
  retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), 1000),
  // The node is no longer the one that takes writes: the next connection may find the one that does.
  reconnectOnError: (error) => error.message.startsWith("READONLY"),
  ...options,
  lazyConnect: true,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  disconnectTimeout: 0
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

/**
 * Gives a connection up for a new one where the handshake or a command has no reply within `limit` milliseconds. Each timer closes the
 * socket that it was started for, and no other.
 */
const withReplyLimit = (client: Client, limit: number, evaluate: Connection["evaluate"]): Connection["evaluate"] => {
  const watch = () => {
    // Absent for as long as no connection has been tried, as with a sentinel that is not found.
    const stream: Client["stream"] | undefined = client.stream
    return deadline(limit, () => stream?.destroy())
  }
  client.on("connect", () => {
    const cancel = watch()
    client.once("ready", cancel)
    client.once("close", () => {
      client.off("ready", cancel)
      cancel()
    })
  })
  return (...command) => evaluate(...command).finally(watch())
}

/**
 * The login that Redis refuses, until it is accepted. `ioredis` only emits it, and fails commands with what follows from it. Other
 * errors that it emits fail a command too, or are told by the loss of the connection; it would print them if nobody listened.
 */
const refusalOf = (client: Client): Connection["refusal"] => {
  let refusal: string | undefined
  client.on("error", ({ message }) => {
    if (isLoginRefused(message)) refusal = adviceOnLogin(message)
  })
  client.on("ready", () => {
    refusal = undefined
  })
  return () => refusal
}

/**
 * Disconnects, and leaves no timer of `ioredis` behind. All commands are answered or given up by then, so a socket whose other end
 * does not close it is destroyed at once (`disconnectTimeout`), by a timer that fires before the one that is set after it here.
 */
const closed = (client: Client): Effect.Effect<void> =>
  Effect.async((resume) => {
    client.disconnect()
    setTimeout(() => resume(Effect.void), 0)
  })

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
        return url === undefined ? new Client(all) : new Client(url, all)
      }),
      closed
    )
    const self = connection(client, secretsOf(url, options), refusalOf(client))
    const evaluate = withReplyLimit(client, options.socketTimeout ?? Math.min(3 * timeout, 2 ** 31 - 1), self.evaluate)
    // Whether it is there is for the first probe to say.
    yield* Effect.ignore(reply(() => client.connect(), timeout))
    return { ...self, evaluate }
  })

/** A connection that is somebody else's, who hears of its errors himself. */
export const borrow = (client: Client | Cluster): Connection => connection(client, [], () => undefined)
