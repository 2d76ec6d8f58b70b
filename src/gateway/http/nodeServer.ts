/** Node's server behind a server of the platform, whose requests the gateway can handle without the platform. */
import type { Scope } from "effect"
import { Effect } from "effect"
import { IncomingMessage, Server, ServerResponse } from "node:http"
import type { Socket } from "node:net"
import type { ServerService } from "./platform.js"

/** Handles a request; false leaves it to the platform. */
export type Listener = (request: IncomingMessage, response: ServerResponse) => boolean

/** A server that offers its requests to a listener first. */
export class InterceptedServer extends Server {
  listener: Listener | undefined

  override emit(event: string, ...values: ReadonlyArray<unknown>): boolean {
    const [request, response] = values
    // Without a listener, Node continues such a request by itself. The server of Effect 4 listens, and continues it when it reads the body.
    if (event === "checkContinue" && response instanceof ServerResponse) {
      response.writeContinue()
      return this.emit("request", ...values)
    }
    const isHandled =
      event === "request" &&
      request instanceof IncomingMessage &&
      response instanceof ServerResponse &&
      this.listener?.(request, response) === true
    return isHandled || super.emit(event, ...values)
  }
}

const servers = new WeakMap<ServerService, InterceptedServer>()

export const register = (server: ServerService, nodeServer: InterceptedServer): void => {
  servers.set(server, nodeServer)
}

/** Node's server, if the platform's was made by `GatewayServer`. */
export const of = (server: ServerService): InterceptedServer | undefined => servers.get(server)

/** Offers requests to the listener while the scope is open. */
export const intercept = (server: InterceptedServer, listener: Listener): Effect.Effect<void, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => {
      server.listener = listener
    }),
    () =>
      Effect.sync(() => {
        server.listener = undefined
      })
  )

/** What ends the requests that wait behind others on their connections. */
const queued = new WeakMap<Socket, Set<() => void>>()

/**
 * Calls `end` when the connection closes, until the resulting function is called. Node reports a closed connection to the response that
 * is being sent, and not to those of pipelined requests behind it.
 */
export const whenQueuedCloses = (
  { socket }: IncomingMessage,
  response: ServerResponse,
  end: () => void
): (() => void) | undefined => {
  if (response.socket !== null) return undefined
  const ends = queued.get(socket) ?? new Set()
  if (!queued.has(socket)) {
    queued.set(socket, ends)
    socket.once("close", () => ends.forEach((end) => end()))
  }
  ends.add(end)
  return () => void ends.delete(end)
}
