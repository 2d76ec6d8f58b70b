/** Measures the decoding of each protocol's stream, frame by frame in memory, against `JSON.parse` of the same frames. */
import { response, wordByWord } from "../src/testing/TestLLM.js"
import * as Anthropic from "../src/wire/Anthropic.js"
import * as ChatCompletions from "../src/wire/ChatCompletions.js"
import * as DashScope from "../test/support/dashscope.js"
import * as Gemini from "../src/wire/Gemini.js"
import * as Ollama from "../src/wire/Ollama.js"
import * as Responses from "../src/wire/Responses.js"
import type { Frame, Wire, WireEvent } from "../src/wire/Wire.js"
import type { Contestant } from "./measure.js"
import { compare } from "./measure.js"
import type { Group } from "./report.js"
import { compared } from "./report.js"

const wires: ReadonlyArray<Wire> = [
  ChatCompletions.make(),
  Responses.make(),
  Anthropic.make(),
  Gemini.make(),
  Ollama.make(),
  DashScope.make()
]

const text = Array.from({ length: 400 }, (_, index) => `word${index} `).join("")

const events = wordByWord(response({ text }))

const source = { provider: "bench", model: "bench", estimatedInputTokens: 1 }

const framesOf = (wire: Wire): ReadonlyArray<Frame> => {
  const encoder = wire.encodeStream({
    stream: true,
    stream_options: { include_usage: true },
    parameters: { incremental_output: true }
  })
  return events.flatMap((event) => encoder.push(event))
}

const parseContestant = (frames: ReadonlyArray<Frame>): Contestant => ({
  name: "JSON.parse",
  run: async (times) => {
    let fields = 0
    for (let time = 0; time < times; time++) {
      for (const { data } of frames) if (data !== "[DONE]") fields += Object.keys(JSON.parse(data)).length
    }
    if (fields === 0) throw new Error("nothing was parsed")
    return times * frames.length
  }
})

const decodeContestant = (wire: Wire, frames: ReadonlyArray<Frame>): Contestant => ({
  name: "decoded",
  run: async (times) => {
    for (let time = 0; time < times; time++) {
      const decoder = wire.decodeStream(source)
      const out: Array<WireEvent> = []
      for (const frame of frames) if (decoder.push(frame, out) !== undefined) throw new Error(`${wire.name} failed`)
      const read = out.reduce((sum, event) => sum + (event._tag === "TextDelta" ? event.text.length : 0), 0)
      if (read !== text.length) throw new Error(`${wire.name} lost words`)
    }
    return times * frames.length
  }
})

export const wireCosts = async (): Promise<ReadonlyArray<Group>> => {
  const groups: Array<Group> = []
  for (const wire of wires) {
    const frames = framesOf(wire)
    const parsing = parseContestant(frames)
    const comparison = await compare([parsing, decodeContestant(wire, frames)], { rounds: 6, times: 100 })
    groups.push({
      title: `A frame of a stream decoded, in memory: ${wire.name}`,
      ...compared(comparison),
      baselines: [parsing.name]
    })
  }
  return groups
}
