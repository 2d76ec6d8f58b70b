/** The body of a gateway's client beside its decoded request. */
import { Either, Option } from "effect"
import { inspect } from "node:util"
import { describe, expect, it } from "vitest"
import * as RawRequests from "../../src/call/rawRequest.js"
import * as Chat from "../../src/vocabulary/Chat.js"

const text = '{"model":"large","messages":[],"x-unknown":"canary"}'

const source = { protocol: "wire", text, body: { model: "large" }, headers: { "x-of-client": "canary" } }

const wire = {
  name: "wire",
  encodeRequest: () => Either.left({ _tag: "Unsupported" as const, feature: "the encoder" }),
  verbatim: { aliases: [], address: () => ({ path: "/", fields: {} }) }
}

const textOf = (request: Chat.ChatRequest): string | undefined => {
  const sent = RawRequests.verbatim(wire, request, { provider: "p", model: "large", stream: false })
  const encoded = sent === undefined ? Option.none() : Either.getRight(sent)
  return Option.isSome(encoded) && RawRequests.isVerbatim(encoded.value) ? encoded.value.text : undefined
}

describe("the body of a client beside its request", () => {
  it("is not shown where the request or a copy of it is printed, and is sent for each of them", () => {
    const decoded: Chat.ChatRequest = { messages: [Chat.user("Hello")] }
    const request = RawRequests.attach(source, decoded)
    for (const each of [request, { ...request }, RawRequests.carry(request, { ...request, user: "u" })]) {
      expect(inspect(each, { depth: 10 })).toContain("Hello")
      expect(inspect(each, { depth: 10, showHidden: true })).not.toContain("canary")
    }
    for (const each of [request, { ...request }]) expect(textOf(each)).toBe(text)
  })
})
