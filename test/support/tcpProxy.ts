/** A proxy that can stop forwarding without closing a connection, as a network that loses every packet does. */
import { Effect } from "effect"
import type { Scope } from "effect"
import type { Socket } from "node:net"
import { connect, createServer } from "node:net"

export interface TcpProxy {
  readonly port: number
  /** Stops forwarding in both directions. Connections stay open, and new ones are accepted. */
  readonly stop: Effect.Effect<void>
  /** Forwards again, what was sent meanwhile first. */
  readonly resume: Effect.Effect<void>
}

export const tcpProxy = (target: number): Effect.Effect<TcpProxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets = new Set<Socket>()
    let isStopped = false
    const server = createServer((incoming) => {
      const outgoing = connect(target, "127.0.0.1")
      for (const [socket, other] of [
        [incoming, outgoing],
        [outgoing, incoming]
      ] as const) {
        sockets.add(socket)
        socket.on("data", (data) => other.write(data))
        socket.on("error", () => socket.destroy())
        socket.on("close", () => {
          sockets.delete(socket)
          other.destroy()
        })
        if (isStopped) socket.pause()
      }
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.async<void>((resume) => {
          for (const socket of sockets) socket.destroy()
          server.close(() => resume(Effect.void))
        })
    )
    const address = server.address()
    return {
      port: typeof address === "object" && address !== null ? address.port : 0,
      stop: Effect.sync(() => {
        isStopped = true
        for (const socket of sockets) socket.pause()
      }),
      resume: Effect.sync(() => {
        isStopped = false
        for (const socket of sockets) socket.resume()
      })
    }
  })
