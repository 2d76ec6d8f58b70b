/** Connections of `ioredis` without a queue behind a lost connection, without resending, and with secrets masked in errors. */
import type { Scope } from "effect"
import { Effect, Redacted } from "effect"
import type { Cluster, RedisOptions } from "ioredis"
import { Redis as Client } from "ioredis"
import { longestTimer } from "../../internal/clock.js"
import { durationText } from "../../internal/durationText.js"

export interface Connection {
  /** Runs a script by its hash when Redis has it cached, else by its text. */
  readonly evaluate: (
    script: string,
    isCached: boolean,
    keys: ReadonlyArray<string>,
    args: ReadonlyArray<string | number>
  ) => Promise<unknown>
  /** Ends when the connection breaks. */
  readonly lost: Effect.Effect<string>
  /** Why Redis refuses the login, and what to do; undefined when it does not. */
  readonly refusal: () => string | undefined
  /** Replaces the secrets of the connection in a text. */
  readonly masked: (text: string) => string
}

/** Why a command failed. */
export interface CommandFailure {
  readonly reason: "connection" | "timeout" | "script"
  /** The code of an error of Redis, such as `NOSCRIPT`; empty when there is none. */
  readonly code: string
  readonly detail: string
}

/** Error codes of a Redis that executes no command for now. From its source, `server.c` and `cluster.c`. */
const unavailableCodes: ReadonlySet<string> = new Set([
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

/** From `acl.c` and `server.c` of Redis; Redis 5 and earlier reply "ERR invalid password". */
const isLoginRefused = (detail: string): boolean => /^(NOAUTH|WRONGPASS|ERR invalid password)\b/.test(detail)

const loginAdvice = (detail: string): string =>
  `the login is refused: ${detail.replace(/\.?$/, ".")} Set the right user name and password in the URL ` +
  "(redis://user:password@host:6379) or in the options of the client."

const failureOf = (error: unknown): CommandFailure => {
  const detail = error instanceof Error ? error.message : String(error)
  // Errors of Redis are `ReplyError`s; all others are errors of the connection.
  if (!(error instanceof Error && error.name === "ReplyError")) return { reason: "connection", code: "", detail }
  const code = /^[A-Z]+(?= )/.exec(detail)?.[0] ?? ""
  return {
    reason: unavailableCodes.has(code) ? "connection" : "script",
    code,
    detail: isLoginRefused(detail) ? loginAdvice(detail) : detail
  }
}

/**
 * Runs `expired` after `millis`, unless it is cancelled. `setImmediate` lets a process whose event loop was blocked read replies
 * that have already arrived.
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

/** What each command of a connection that has no reply yet does when one of them has none in time. */
export type PendingCommands = Set<(failure: CommandFailure) => void>

/**
 * Waits at most `timeout` milliseconds for a reply, also in an uninterruptible region. A command without a reply in time ends the wait of
 * all pending ones: an outage delays no command for longer than its first.
 */
export const awaitReply = <A>(
  send: () => Promise<A>,
  timeout: number,
  pending: PendingCommands = new Set()
): Effect.Effect<A, CommandFailure> =>
  Effect.async((resume) => {
    const timedOut: CommandFailure = { reason: "timeout", code: "", detail: `no reply within ${durationText(timeout)}` }
    const end = () => {
      pending.delete(fail)
      cancel()
    }
    const complete = (exit: Effect.Effect<A, CommandFailure>) => {
      end()
      resume(exit)
    }
    const fail = (failure: CommandFailure) => complete(Effect.fail(failure))
    const cancel = deadline(timeout, () => {
      for (const each of pending) each(timedOut)
    })
    pending.add(fail)
    send().then(
      (value) => complete(Effect.succeed(value)),
      (error: unknown) => complete(Effect.fail(failureOf(error)))
    )
    return Effect.sync(end)
  })

const connection = (
  client: Client | Cluster,
  secrets: ReadonlyArray<string>,
  refusal: Connection["refusal"]
): Connection => ({
  refusal,
  evaluate: (script, isCached, keys, args) =>
    isCached
      ? client.evalsha(script, keys.length, ...keys, ...args)
      : client.eval(script, keys.length, ...keys, ...args),
  lost: Effect.async((resume) => {
    const onClose = () => resume(Effect.succeed("the connection is closed"))
    client.once("close", onClose)
    return Effect.sync(() => client.off("close", onClose))
  }),
  masked: (text) => secrets.reduce((masked, secret) => masked.replaceAll(secret, "<redacted>"), text)
})

/** Without `socketTimeout`: its timer belongs to the client and not to the socket, and would close the next connection. */
const clientOptions = ({ socketTimeout: _, ...options }: RedisOptions, timeout: number): RedisOptions => ({
  connectTimeout: timeout,
  retryStrategy: (times) => Math.min(50 * 2 ** Math.min(times, 10), 1000),
  // The node does not accept writes any more: the next connection may reach the one that does.
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
  const candidates = [url, inUrl, inUrl === undefined ? undefined : percentDecoded(inUrl), options.password]
  return candidates.flatMap((secret) => (typeof secret === "string" && secret !== "" ? [secret] : []))
}

const percentDecoded = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/**
 * Closes a connection when the handshake or a command has no reply within `limit` milliseconds, so that `ioredis` opens a new
 * one. Each timer closes only the socket that it was started for.
 */
const withReplyLimit = (client: Client, limit: number, evaluate: Connection["evaluate"]): Connection["evaluate"] => {
  const watch = () => {
    // Undefined until a connection has been tried, for example when a sentinel is not found.
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
 * Keeps the refusal of a login until one is accepted. `ioredis` emits the refusal as an event, and fails commands with consequences
 * of it. Its other error events also fail a command or close the connection; the listener keeps `ioredis` from printing them.
 */
const refusalOf = (client: Client): Connection["refusal"] => {
  let refusal: string | undefined
  client.on("error", ({ message }) => {
    if (isLoginRefused(message)) refusal = loginAdvice(message)
  })
  client.on("ready", () => {
    refusal = undefined
  })
  return () => refusal
}

/**
 * Disconnects and leaves no timer of `ioredis` behind. All commands have ended by then, so `ioredis` destroys a socket that the
 * other side does not close at once (`disconnectTimeout`), by a timer that fires before the one that is started after it here.
 */
const disconnect = (client: Client): Effect.Effect<void> =>
  Effect.async((resume) => {
    client.disconnect()
    setTimeout(() => resume(Effect.void), 0)
  })

/** Opens a connection that is closed with the scope. Waits for it for at most `timeout` milliseconds. */
export const open = (
  configuredUrl: string | Redacted.Redacted<string> | undefined,
  options: RedisOptions,
  timeout: number
): Effect.Effect<Connection, never, Scope.Scope> =>
  Effect.gen(function* () {
    const url = Redacted.isRedacted(configuredUrl) ? Redacted.value(configuredUrl) : configuredUrl
    const client = yield* Effect.acquireRelease(
      Effect.sync(() => {
        const all = clientOptions(options, timeout)
        return url === undefined ? new Client(all) : new Client(url, all)
      }),
      disconnect
    )
    const self = connection(client, secretsOf(url, options), refusalOf(client))
    const evaluate = withReplyLimit(client, options.socketTimeout ?? Math.min(3 * timeout, longestTimer), self.evaluate)
    // The first probe shows whether the connection works.
    yield* Effect.ignore(awaitReply(() => client.connect(), timeout))
    return { ...self, evaluate }
  })

/** Wraps a client of the user, who handles its error events and closes it. */
export const borrow = (client: Client | Cluster): Connection => connection(client, [], () => undefined)
