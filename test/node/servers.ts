/** Servers on loopback, and the answers of a direct transport as values. */
import type { Scope } from "effect"
import { Effect } from "effect"
import { createServer, type RequestListener, type Server } from "node:http"
import type { Server as NetServer } from "node:net"
import { connect, createServer as createNetServer, type Socket } from "node:net"
import type * as Direct from "../../src/call/direct.js"

export interface Served {
  readonly url: string
  readonly port: number
  /** The open connections. */
  readonly sockets: ReadonlySet<Socket>
  /** The number of connections so far. */
  readonly accepted: () => number
}

const listening = (server: NetServer): Effect.Effect<Served, never, Scope.Scope> => {
  const sockets = new Set<Socket>()
  let accepted = 0
  server.on("connection", (socket: Socket) => {
    accepted++
    sockets.add(socket)
    socket.on("close", () => sockets.delete(socket)).on("error", () => undefined)
  })
  return Effect.acquireRelease(
    Effect.async<Served>((resume) => {
      server.listen(0, "127.0.0.1", () => {
        const address = server.address()
        const port = typeof address === "object" && address !== null ? address.port : 0
        resume(Effect.succeed({ url: `http://127.0.0.1:${port}`, port, sockets, accepted: () => accepted }))
      })
    }),
    () =>
      Effect.async<void>((resume) => {
        server.close(() => resume(Effect.void))
        for (const socket of sockets) socket.destroy()
      })
  )
}

/** Serves HTTP; connections are kept open until the client closes them. */
export const serve = (
  listener: RequestListener,
  prepare: (server: Server) => void = () => undefined
): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.suspend(() => {
    const server = createServer({ keepAliveTimeout: 0 }, listener)
    prepare(server)
    return listening(server)
  })

/** Calls the function with each connection and the first data on it. */
export const serveRaw = (
  onRequest: (socket: Socket, request: string) => void
): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.suspend(() =>
    listening(createNetServer((socket) => socket.once("data", (data) => onRequest(socket, data.toString("latin1")))))
  )

/** A proxy that tunnels. */
export interface Proxy extends Served {
  /** The target and the credentials of each `CONNECT`. */
  readonly tunnels: ReadonlyArray<readonly [target: string | undefined, authorization: string | undefined]>
}

/** Tunnels every `CONNECT` to its target; refuses those without the authorization, where there is one, with 407. */
export const serveProxy = (authorization?: string): Effect.Effect<Proxy, never, Scope.Scope> => {
  const tunnels: Array<readonly [string | undefined, string | undefined]> = []
  return Effect.map(
    serve(
      (_request, response) => response.writeHead(405).end(),
      (server) =>
        server.on("connect", (request, socket) => {
          const given = request.headers["proxy-authorization"]
          tunnels.push([request.url, given])
          if (authorization !== undefined && given !== authorization) {
            socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
            return
          }
          const { hostname, port } = new URL(`http://${request.url}`)
          const upstream = connect(Number(port), hostname, () => {
            socket.write("HTTP/1.1 200 Connection established\r\n\r\n")
            upstream.pipe(socket).pipe(upstream)
          })
          upstream.on("error", () => socket.destroy()).on("close", () => socket.destroy())
          socket.on("error", () => upstream.destroy()).on("close", () => upstream.destroy())
        })
    ),
    (served) => ({ ...served, tunnels })
  )
}

export interface Received {
  status: number
  headers: Readonly<Record<string, string>>
  /** The names of the callbacks in their order; the same one repeated is listed once. */
  readonly calls: Array<"head" | "data" | "end" | "error">
  readonly chunks: Array<Uint8Array>
  bytes: number
  error: unknown
}

export interface Exchanged {
  readonly exchange: Direct.Exchange
  readonly received: Received
  /** Waits for the end or the error. */
  readonly over: Effect.Effect<Received>
}

export interface Listening {
  readonly onHead?: (exchange: Direct.Exchange) => void
  readonly onData?: (exchange: Direct.Exchange, received: Received) => void
}

/** Sends a request, and records what its transport reports. The listeners are not called for what comes before `send` returns. */
export const send = (
  transport: Direct.DirectTransport,
  request: Pick<Direct.DirectRequest, "url"> & Partial<Direct.DirectRequest>,
  { onData, onHead }: Listening = {}
): Exchanged => {
  const received: Received = { status: 0, headers: {}, calls: [], chunks: [], bytes: 0, error: undefined }
  const waiting = new Set<() => void>()
  let isOver = false
  const note = (call: Received["calls"][number]): void => {
    if (call !== "data" || received.calls.at(-1) !== "data") received.calls.push(call)
    if (call !== "end" && call !== "error") return
    isOver = true
    for (const wake of waiting) wake()
  }
  let exchange: Direct.Exchange | undefined
  exchange = transport.send(
    { method: "GET", headers: {}, ...request },
    {
      onHead: (status, headers) => {
        received.status = status
        received.headers = headers
        note("head")
        if (exchange !== undefined) onHead?.(exchange)
      },
      onData: (chunk) => {
        received.chunks.push(chunk)
        received.bytes += chunk.length
        note("data")
        if (exchange !== undefined) onData?.(exchange, received)
      },
      onEnd: () => note("end"),
      onError: (error) => {
        received.error = error
        note("error")
      }
    }
  )
  const over = Effect.async<Received>((resume) => {
    const wake = (): void => resume(Effect.succeed(received))
    if (isOver) return wake()
    waiting.add(wake)
    return Effect.sync(() => waiting.delete(wake))
  })
  return { exchange, received, over }
}

export const text = ({ chunks }: Received): string => Buffer.concat(chunks).toString()

/** The `code` of an error. */
export const codeOf = ({ error }: Received): unknown =>
  error instanceof Error && "code" in error ? error.code : undefined
