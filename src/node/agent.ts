/** Agents of undici that belong to one layer. */
import { Agent, buildConnector, Dispatcher, EnvHttpProxyAgent, Pool, ProxyAgent } from "@effect/platform-node/Undici"
import type { Scope } from "effect"
import { Effect, Either, Predicate, Redacted } from "effect"
import { setMaxListeners } from "node:events"
import * as OptionChecks from "../internal/optionChecks.js"
import type { UndiciOptions } from "./model.js"
import { InvalidTransportError } from "./model.js"

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

const poolOf = (origin: string | URL, options: Pool.Options): Dispatcher =>
  new Pool(origin, options).on("connect", (_origin, targets) => {
    const client = targets.at(-1)
    if (client !== undefined) endWhilePaused(client)
  })

/**
 * Connects with a signal for each connection: Node 20 never removes a socket's listener from its signal, so one signal for all would
 * keep every socket.
 */
const connectorOf =
  (timeout: number, signal: AbortSignal): buildConnector.connector =>
  (options, callback) => {
    const connecting = new AbortController()
    const abort = (): void => connecting.abort()
    signal.addEventListener("abort", abort, { once: true })
    buildConnector({ timeout, signal: connecting.signal })(options, (...result) => {
      signal.removeEventListener("abort", abort)
      callback(...result)
    })
  }

const dispatcherOf = ({ connectTimeout, proxy, ...settings }: Settings, signal: AbortSignal): Dispatcher => {
  const connect = { timeout: connectTimeout, signal }
  const options = { ...settings, factory: poolOf }
  if (proxy === undefined) return new Agent({ ...options, connect: connectorOf(connectTimeout, signal) })
  const proxied = { ...options, connect, proxyTls: connect, requestTls: connect }
  return proxy === environment ? new EnvHttpProxyAgent(proxied) : new ProxyAgent({ ...proxied, uri: proxy })
}

/** Makes an agent whose requests fail and whose sockets close when the scope closes. */
export const make = (settings: Settings): Effect.Effect<Dispatcher, never, Scope.Scope> =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        // Closes the sockets that undici's `destroy` leaves: those that are still connecting, until their connect timeout.
        const sockets = new AbortController()
        setMaxListeners(0, sockets.signal)
        const dispatcher = dispatcherOf(settings, sockets.signal)
        return {
          dispatcher,
          destroy: () => {
            const destroyed = dispatcher.destroy()
            sockets.abort()
            return destroyed
          }
        }
      }),
      ({ destroy }) => Effect.promise(destroy)
    ),
    ({ dispatcher }) => dispatcher
  )

/** Makes the dispatcher that the options describe. A dispatcher of the user's own is not destroyed. */
export const fromOptions = (options: UndiciOptions): Effect.Effect<Dispatcher, InvalidTransportError, Scope.Scope> =>
  Effect.flatMap(checked(options), (checked) =>
    checked instanceof Dispatcher ? Effect.succeed(checked) : make(checked)
  )
