/** Agents of undici that belong to one layer. */
import { Agent, Dispatcher, EnvHttpProxyAgent, Pool, ProxyAgent, buildConnector } from "@effect/platform-node/Undici"
import type { Scope } from "effect"
import { Effect, Either, Predicate, Redacted } from "effect"
import { Socket } from "node:net"
import * as OptionChecks from "../internal/optionChecks.js"
import type { UndiciOptions } from "./model.js"
import { InvalidTransportError } from "./model.js"
import { fromEither } from "../internal/asEffect.js"

/** Checked options of an agent; times are in milliseconds. */
export interface Settings {
  readonly connectTimeout: number
  readonly connections: number
  readonly keepAliveTimeout: number
  readonly keepAliveMaxTimeout: number
  readonly proxy: string | undefined
}

/** The value of `proxy` for the proxies that the environment names. */
const environment = "environment"

const isProxyUrl = (text: string): boolean => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol)

export const defaults: Settings = {
  connectTimeout: 10_000,
  connections: Infinity,
  keepAliveTimeout: 4000,
  keepAliveMaxTimeout: 600_000,
  proxy: undefined
}

/** The settings of an agent, or the dispatcher of a user. */
const checked = ({
  dispatcher,
  ...options
}: UndiciOptions): Either.Either<Settings | Dispatcher, InvalidTransportError> => {
  const { faults, millis, number } = OptionChecks.make()
  const read = { ...defaults, ...options }
  const { connections } = read
  const proxy = Redacted.isRedacted(read.proxy) ? Redacted.value(read.proxy) : read.proxy
  const settings: Settings = {
    connectTimeout: millis("connectTimeout", read.connectTimeout, OptionChecks.finite),
    connections: number("connections", connections, OptionChecks.isWhole(connections, 1), "an integer of at least 1"),
    keepAliveTimeout: millis("keepAliveTimeout", read.keepAliveTimeout, OptionChecks.finite),
    keepAliveMaxTimeout: millis("keepAliveMaxTimeout", read.keepAliveMaxTimeout, OptionChecks.finite),
    proxy
  }
  // The URL is not in the message, because it can contain a password.
  if (proxy !== undefined && proxy !== environment && !isProxyUrl(proxy))
    faults.push(`proxy: must be "${environment}" or a URL that begins with http: or https:`)
  if (dispatcher === undefined) {
    return faults.length > 0 ? Either.left(new InvalidTransportError({ faults })) : Either.right(settings)
  }
  if (!(dispatcher instanceof Dispatcher))
    faults.push(
      "dispatcher: is not of the undici that @effect/platform-node uses; make it with the Undici that this package exports"
    )
  if (Object.keys(options).length > 0)
    faults.push("dispatcher: excludes the other options, which are set where it is made")
  return faults.length > 0 ? Either.left(new InvalidTransportError({ faults })) : Either.right(dispatcher)
}

/** What undici's parser of a connection has. */
interface Parser {
  paused: boolean
  readonly bytesRead: number
  readonly resume: () => void
  readonly ptr: unknown
  readonly llhttp: { readonly llhttp_resume: (parser: unknown) => void }
  finish: () => Error | null
}

const hasMethod = <Name extends string>(value: unknown, name: Name): value is Record<Name, () => void> =>
  Predicate.hasProperty(value, name) && Predicate.isFunction(value[name])

const isParser = (value: unknown): value is Parser =>
  hasMethod(value, "finish") &&
  hasMethod(value, "resume") &&
  Predicate.hasProperty(value, "paused") &&
  Predicate.hasProperty(value, "bytesRead") &&
  Predicate.hasProperty(value, "llhttp") &&
  hasMethod(value.llhttp, "llhttp_resume")

const symbolProperty = (target: object, name: string): unknown => {
  const symbol = Object.getOwnPropertySymbols(target).find(({ description }) => description === name)
  return symbol === undefined ? undefined : Reflect.get(target, symbol)
}

/**
 * Lets responses without keep-alive end while their reader pauses. undici 7 asserts that its parser is not paused when such a connection
 * ends or breaks, and throws from an event handler of the socket, which ends the process
 * (https://github.com/nodejs/undici/issues/5360, fixed in undici 8). Here the parser reads on, as in undici 8.
 */
const endWhilePaused = (client: Dispatcher): void => {
  const socket = symbolProperty(client, "socket")
  if (!Predicate.hasProperty(socket, "destroyed")) return
  const parser = symbolProperty(socket, "parser")
  if (!isParser(parser)) return
  const finish = parser.finish.bind(parser)
  parser.finish = () => {
    // A reader that stays paused stops the parser again after each piece, so it is resumed as long as it makes progress.
    for (let before = -1; parser.paused && parser.bytesRead !== before;) {
      before = parser.bytesRead
      parser.resume()
    }
    if (parser.paused) {
      parser.paused = false
      // Only a body whose length is unknown is still paused. It is complete, unless the connection broke.
      if (socket.destroyed !== true) parser.llhttp.llhttp_resume(parser.ptr)
    }
    return finish()
  }
}

/** Makes the dispatcher, whose open sockets are kept in the set, those included that are still connecting. */
const dispatcherOf = ({ connectTimeout, proxy, ...settings }: Settings, sockets: Set<Socket>): Dispatcher => {
  const tracked =
    (connect: buildConnector.connector): buildConnector.connector =>
    (options, callback) => {
      // undici's types do not say that it returns the socket.
      const socket: unknown = connect(options, callback)
      if (!(socket instanceof Socket)) return
      sockets.add(socket)
      socket.once("close", () => sockets.delete(socket))
    }
  const poolOf = (origin: string | URL, options: Pool.Options): Pool =>
    new Pool(origin, options).on("connect", (_origin, targets) => {
      const client = targets.at(-1)
      if (client !== undefined) endWhilePaused(client)
    })
  const connect = tracked(buildConnector({ timeout: connectTimeout }))
  const options = { ...settings, factory: poolOf, connect }
  if (proxy === undefined) return new Agent(options)
  const proxied = {
    ...options,
    // undici 8, which Effect 4 uses, tunnels only the requests of https by default.
    proxyTunnel: true,
    requestTls: { timeout: connectTimeout },
    clientFactory: (origin: URL) => new Pool(origin, { connect })
  }
  return proxy === environment ? new EnvHttpProxyAgent(proxied) : new ProxyAgent({ ...proxied, uri: proxy })
}

/** Makes an agent whose requests fail and whose sockets close when the scope closes. */
export const make = (settings: Settings): Effect.Effect<Dispatcher, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const sockets = new Set<Socket>()
        return { dispatcher: dispatcherOf(settings, sockets), sockets }
      }),
      ({ dispatcher, sockets }) =>
        Effect.promise(() => {
          const destroyed = dispatcher.destroy()
          // undici leaves those that are connecting, until their timeout, and those of pools that it closes because of an error.
          for (const socket of sockets) socket.destroy(new Error("The HTTP transport was closed."))
          return destroyed
        })
    ),
    ({ dispatcher }) => dispatcher
  )

/** Makes the dispatcher that the options describe. A dispatcher of the user's own is not destroyed. */
export const fromOptions = (options: UndiciOptions): Effect.Effect<Dispatcher, InvalidTransportError, Scope.Scope> =>
  Effect.flatMap(fromEither(checked(options)), (checked) =>
    checked instanceof Dispatcher ? Effect.succeed(checked) : make(checked)
  )
