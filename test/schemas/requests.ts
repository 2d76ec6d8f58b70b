/** The requests that are written: generated ones, all recorded ones, and the turns after recorded answers. */
import { Either } from "effect"
import type { AssistantPart, ChatRequest } from "../../src/vocabulary/Chat.js"
import * as Chat from "../../src/vocabulary/Chat.js"
import * as Framing from "../../src/wire/framing.js"
import type { ClientWire, Frame, Wire } from "../../src/wire/Wire.js"
import type { Exchange } from "../conformance/exchanges.js"
import { load } from "../conformance/exchanges.js"
import { protocols } from "../conformance/protocols.js"
import { expressible } from "../wire/expressible.js"
import { fold, readStream } from "../wire/roundTrips.js"

export interface Written {
  readonly name: string
  readonly request: ChatRequest
  /** The provider whose reasoning is in the request. */
  readonly provider: string
  /** The folder of the protocol of a recorded request. */
  readonly protocol?: string
  /** The recorded body. */
  readonly body?: unknown
}

/** The content of a recorded answer; empty for an error. */
const answerOf = (wire: Wire, { body, expected, provider, streaming }: Exchange): ReadonlyArray<AssistantPart> => {
  if (expected.kind === "error") return []
  const source = { provider, model: "asked", estimatedInputTokens: 1 }
  if (!streaming) {
    return Either.match(wire.decodeResponse(JSON.parse(new TextDecoder().decode(body)), source), {
      onLeft: () => [],
      onRight: ({ content }) => content
    })
  }
  const framer = Framing.make(wire.framing)
  const frames: Array<Frame> = []
  framer.push(body, frames)
  framer.end(frames)
  return fold(readStream(wire, frames, source).out).content
}

/** The request after an answer, whose tools had results. */
const nextTurn = (request: ChatRequest, content: ReadonlyArray<AssistantPart>): ChatRequest => ({
  ...request,
  messages: [
    ...request.messages,
    Chat.assistant(content),
    ...Chat.toolCallsOf(content).map((call) => Chat.toolResult(call, "A result.")),
    Chat.user("Go on.")
  ]
})

/** All recorded requests that the vocabulary can express, each with the turn after its answer. */
export const recorded = (folder: string): ReadonlyArray<Written> =>
  Object.entries(protocols).flatMap(([protocol, { wire }]) =>
    load(folder, protocol).flatMap((exchange) =>
      Either.match(wire.decodeRequest(exchange.requestBody, { path: exchange.path, headers: {} }), {
        onLeft: () => [],
        onRight: ({ request }) => {
          const { name, provider, requestBody } = exchange
          const first: Written = { name, request, provider, protocol, body: requestBody }
          const content = answerOf(wire, exchange)
          return content.length === 0
            ? [first]
            : [first, { ...first, name: `${name}, next turn`, request: nextTurn(request, content) }]
        }
      })
    )
  )

export type Body = Readonly<Record<string, unknown>>

/**
 * The bodies of what a protocol can express of a request, whole and streamed. A request of the same protocol goes to the provider that its
 * reasoning came from, and with the fields that only the protocol has.
 */
export const bodiesOf = (
  wire: ClientWire,
  target: string,
  { protocol = target, provider, request }: Written
): ReadonlyArray<Body> => {
  const { extra: _, ...common } = request
  const isSame = protocol === target
  return [false, true].flatMap((stream) => {
    const peer = { provider: isSame ? provider : "another", model: "asked", stream }
    return Either.match(wire.encodeRequest(expressible(wire, isSame ? request : common, peer), peer), {
      onLeft: () => [],
      onRight: ({ body }) => [JSON.parse(JSON.stringify(body))]
    })
  })
}
