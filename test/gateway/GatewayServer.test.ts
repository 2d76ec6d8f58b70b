/** Tests of the server's start. */
import { HttpServer } from "@effect/platform"
import { describe, expect, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { Access, GatewayServer } from "../../src/gateway/index.js"

const listening = (host: string, port: number) =>
  Layer.build(Layer.provide(GatewayServer.layer({ host, port }), Access.layer({ keys: [{ key: "sk-a" }] })))

describe("GatewayServer.layer", () => {
  it.scopedLive("names the address and the port that another server uses, and what to do", () =>
    Effect.gen(function* () {
      const { address } = Context.get(yield* listening("127.0.0.1", 0), HttpServer.HttpServer)
      const port = address._tag === "TcpAddress" ? address.port : 0
      const error = yield* Effect.flip(listening("127.0.0.1", port))
      expect(error).toMatchObject({ _tag: "ListenError", host: "127.0.0.1", port, reason: "in-use" })
      expect(error.message).toBe(
        `The gateway cannot listen at 127.0.0.1:${port}: another process already listens on port ${port}. Stop that process, or choose another port.`
      )
    })
  )

  it.scopedLive("names an address that this machine does not have", () =>
    Effect.gen(function* () {
      // Reserved for documentation (RFC 5737, RFC 3849).
      const error = yield* Effect.flip(listening("192.0.2.1", 0))
      expect(error).toMatchObject({ _tag: "ListenError", reason: "unknown-host" })
      const { message } = new GatewayServer.ListenError({
        host: "2001:db8::1",
        port: 80,
        reason: "other",
        cause: "why"
      })
      expect(message).toBe("The gateway cannot listen at [2001:db8::1]:80: why")
    })
  )
})
