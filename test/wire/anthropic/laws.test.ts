/** Round trips of Anthropic responses and streams. */
import { describe, expect, it } from "@effect/vitest"
import * as FastCheck from "fast-check"
import type { AssistantPart, ChatResponse, FinishReason } from "../../../src/vocabulary/Chat.js"
import * as Chat from "../../../src/vocabulary/Chat.js"
import * as ChatEvent from "../../../src/vocabulary/ChatEvent.js"
import * as Usage from "../../../src/vocabulary/Usage.js"
import * as Anthropic from "../../../src/wire/Anthropic.js"
import type { Frame } from "../../../src/wire/Wire.js"
import { answered, content, jsonObject, name, nonBlankText } from "./generators.js"
import { usage } from "../generators.js"
import { collectStream, interleaveToolCalls, source, responseRoundTrip, writeFrames } from "../roundTrips.js"

const wire = Anthropic.make()

const is = FastCheck.constant
const oneOf = FastCheck.constantFrom

const endings: Readonly<Record<string, FinishReason>> = {
  end_turn: "stop",
  stop_sequence: "stop",
  max_tokens: "length",
  model_context_window_exceeded: "length",
  refusal: "content-filter",
  pause_turn: "pause",
  "": "other"
}

const drafts = (args: FastCheck.Arbitrary<string>) =>
  FastCheck.record({
    id: FastCheck.stringMatching(/^msg_[0-9a-f]{4}$/),
    model: name,
    parts: content("acme", args),
    container: FastCheck.boolean(),
    usage,
    raw: oneOf(...Object.keys(endings)),
    metadata: FastCheck.record(
      {
        stop_sequence: nonBlankText,
        usage: is({ service_tier: "standard", server_tool_use: { web_search_requests: 1 } })
      },
      { requiredKeys: [] }
    )
  })

type Draft = ReturnType<typeof drafts> extends FastCheck.Arbitrary<infer A> ? A : never

const containerPart: AssistantPart = { type: "provider", ...answered("acme", { container: { id: "container_1" } }) }

const responseOf = ({ container, metadata, parts, raw, ...draft }: Draft): ChatResponse => {
  const ending = Chat.toolCallsOf(parts).length === 0 || endings[raw] === "length" ? raw : "tool_use"
  return Chat.withContent(
    {
      ...draft,
      provider: "acme",
      finishReason: endings[ending] ?? "tool-calls",
      rawFinishReason: ending,
      latency: 0,
      keyId: "k",
      attempts: [],
      providerMetadata: metadata
    },
    container ? [...parts, containerPart] : parts
  )
}

const responses = drafts(jsonObject).map(responseOf)

const cutResponses = drafts(nonBlankText).map(responseOf)

/** The response that a client collects from a stream of these events. */
const streamRoundTrip = (response: ChatResponse, events = ChatEvent.fromResponse(response)): ChatResponse =>
  collectStream(wire, writeFrames(wire, events), response, "event")

/** Whether the block indices count up and each block is closed before the next is opened, as readers require. */
const hasSequentialBlocks = (frames: ReadonlyArray<Frame>): boolean => {
  let open: number | undefined
  let next = 0
  return frames
    .map((frame) => JSON.parse(frame.data))
    .every(({ index, type }) => {
      switch (type) {
        case "content_block_start": {
          const fits = open === undefined && index === next
          open = index
          next += 1
          return fits
        }
        case "content_block_delta":
          return index === open
        case "content_block_stop": {
          const fits = index === open
          open = undefined
          return fits
        }
        default:
          return type !== "message_stop" || open === undefined
      }
    })
}

describe("Anthropic response laws", () => {
  it.prop("every Anthropic response survives writing and reading as one body", [responses], ([response]) => {
    expect(responseRoundTrip(wire, response)).toEqual(response)
  })
  it.prop(
    "every Anthropic response survives writing and reading as a stream, with complete or cut off tool calls",
    [cutResponses],
    ([response]) => {
      expect(streamRoundTrip(response)).toEqual(response)
    }
  )
  it.prop(
    "every Anthropic response survives a stream whose deltas are split at any size and interleaved",
    [cutResponses, FastCheck.integer({ min: 1, max: 4 })],
    ([response, size]) => {
      expect(streamRoundTrip(response, interleaveToolCalls(ChatEvent.fromResponse(response), size))).toEqual(response)
    }
  )
  it.prop(
    "a written stream closes each content block before it opens the next",
    [cutResponses, FastCheck.integer({ min: 1, max: 4 })],
    ([response, size]) => {
      expect(hasSequentialBlocks(writeFrames(wire, interleaveToolCalls(ChatEvent.fromResponse(response), size)))).toBe(
        true
      )
    }
  )
  it.prop("a stream of complete content blocks reads as the same response as the body", [responses], ([response]) => {
    const { content, stop_reason, stop_sequence, usage, ...message } = wire.encodeResponse(response)
    const blocks = Array.isArray(content) ? content : []
    const frames = [
      { type: "message_start", message: { ...message, content: [] } },
      ...blocks.flatMap((content_block, index) => [
        { type: "content_block_start", index, content_block },
        { type: "content_block_stop", index }
      ]),
      { type: "message_delta", delta: { stop_reason, stop_sequence }, usage },
      { type: "message_stop" }
    ].map((event): Frame => ({ event: event.type, data: JSON.stringify(event) }))
    expect(collectStream(wire, frames, response, "event")).toEqual(response)
  })
  it.prop(
    "an Anthropic response without counts gets the same estimated usage from the body and from the stream",
    [responses],
    ([counted]) => {
      const response = { ...counted, usage: { ...Usage.empty, estimated: true } }
      const { usage } = responseRoundTrip(wire, response)
      expect([usage.estimated, usage.inputTokens]).toEqual([true, source.estimatedInputTokens])
      expect(streamRoundTrip(response).usage).toEqual(usage)
    }
  )
})
